#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "normgraph/kernel/simd/staging/traversal.hpp"

/// The two phases that go through the elements of a group of channels, block by block.
namespace normgraph::kernel::simd {

/// Scratch that reduce or apply takes for a group.
std::size_t phase_bytes(const Traversal& traversal, std::int64_t channels, std::int64_t blocks);

/// Sums the terms of the sources of reduce over the blocks: [sum][channel], with
/// values_per_group(channels) between the two sums. Shifts: one per column.
void reduce(const Traversal& traversal, const RowsAndColumns<Reduce>& kernel,
            const ChannelRange& channels, const BlockRange& blocks, const double* shifts,
            const GroupCopies& copies, double* sums, Scratch& scratch);

/// The coefficients of a group: one of each kind per column; `stride` from one kind to the next.
struct Coefficients {
    const void* values;
    std::int64_t stride;
};

/// Writes the target.
void apply(const Traversal& traversal, const RowsAndColumns<Apply>& kernel,
           const ChannelRange& channels, const BlockRange& blocks, const Coefficients& coefficients,
           const GroupCopies& copies, Scratch& scratch);

/// Applies along coalesced rows. Coefficients: of coalesced columns, and a step more of each kind.
void apply_coalesced(const Traversal& traversal, Apply kernel, const ChannelRange& channels,
                     const Coefficients& coefficients);

}  // namespace normgraph::kernel::simd
