#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/phases/node_tree.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "normgraph/kernel/simd/staging/traversal.hpp"

/// The two phases that go through the elements of a group of channels, block by block.
namespace normgraph::kernel::simd {

/// Scratch that reduce or apply takes for a group.
std::size_t reduce_bytes(const Traversal& traversal, std::int64_t channels, std::int64_t blocks);
std::size_t apply_bytes(const Traversal& traversal, std::int64_t channels);

/// A way to reduce blocks to nodes.
struct Reduction {
    RowsAndColumns<Reduce> kernel{};
    FoldRows fold_rows = nullptr;
    AddChains add_chains = nullptr;
    CombineNodes combine = add_nodes;
    /// Null where all blocks have the same shifts, and nodes are of sums. Else each has its own,
    /// and nodes are of moments.
    BlockShifts shifts_of_block = nullptr;
    MakeMoments make_moments = nullptr;
    /// Whether terms are products with a gradient: see CountedPositions.
    bool takes_gradient = false;

    /// The elements of each channel that a node of these blocks is made of: those that count, if
    /// it is of moments.
    std::int64_t elements_in(const Traversal& traversal, const BlockRange& blocks) const {
        return shifts_of_block != nullptr ? traversal.counted_in(blocks)
                                          : traversal.geometry().elements_in(blocks);
    }
};

/// Reduces the blocks to one node: [value][channel], with values_per_group(channels) between the
/// two values. Shifts: of the term's type, one per column; unused where blocks have their own.
void reduce(const Traversal& traversal, const Reduction& reduction, const ChannelRange& channels,
            const BlockRange& blocks, const std::byte* shifts, const GroupCopies& copies,
            double* node, Scratch& scratch);

/// The coefficients of a group: one of each kind per column; `stride` from one kind to the next.
struct Coefficients {
    const void* values;
    std::int64_t stride;
};

/// Writes the target.
void apply(const Traversal& traversal, const RowsAndColumns<Apply>& kernel,
           const ChannelRange& channels, const BlockRange& blocks, const Coefficients& coefficients,
           const GroupCopies& copies, Scratch& scratch);

/// What a backward pass applies where positions do not count: of the gradient, or of what a mask
/// selects of it, the product with the coefficient of this number.
struct UncountedApplication {
    RowsAndColumns<Apply> select{};  ///< null: there is no mask
    RowsAndColumns<Apply> scale;
    std::int64_t coefficient;
};

struct ApplicationByPositions {
    RowsAndColumns<Apply> counted;
    UncountedApplication uncounted;
};

/// Writes the target, by whether positions count. Sources: input and gradient.
void apply_by_positions(const Traversal& traversal, const ApplicationByPositions& application,
                        const ChannelRange& channels, const BlockRange& blocks,
                        const Coefficients& coefficients, const GroupCopies& copies,
                        Scratch& scratch);

/// Applies along rows in the order in which they lie in memory (see Traversal::applies_in_order).
/// `reads_memory`: the sources are in no cache.
void apply_in_order(const Traversal& traversal, Apply kernel, const ChannelRange& channels,
                    const BlockRange& blocks, const Coefficients& coefficients, bool reads_memory,
                    Scratch& scratch);

/// Applies along coalesced rows. Coefficients: of coalesced columns, and a step more of each kind.
void apply_coalesced(const Traversal& traversal, Apply kernel, const ChannelRange& channels,
                     const Coefficients& coefficients);

}  // namespace normgraph::kernel::simd
