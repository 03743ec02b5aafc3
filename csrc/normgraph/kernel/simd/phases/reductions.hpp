#pragma once

#include <cstdint>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/phases/group_values.hpp"
#include "normgraph/kernel/simd/phases/phases.hpp"

/// What the family reduces blocks to.
namespace normgraph::kernel::simd {

/// The mean and Σ(x − mean)², from sums about a shift of each block's own.
inline Reduction moments_of_blocks(const MicroKernelTable& table, ElementType type) {
    const MicroKernels& kernels = table[type];
    return {kernels.moments,     kernels.fold_rows,    kernels.add_chains,
            table.merge_moments, kernels.block_shifts, kernels.make_moments};
}

/// Σ(x − shift) and Σ(x − shift)², the shifts being those of channels.
inline Reduction sums_about_shifts(const MicroKernels& kernels) {
    return {kernels.moments, kernels.fold_rows, kernels.add_chains};
}

/// Σ normalized_delta and Σ normalized_delta·(x − shift), the shifts being those of channels; with
/// a mask, of what it lets pass.
inline Reduction sums_of_deltas(const MicroKernels& kernels, bool is_masked) {
    return {.kernel = is_masked ? kernels.relu_deltas : kernels.deltas,
            .fold_rows = kernels.fold_rows,
            .add_chains = kernels.add_chains,
            .takes_gradient = true};
}

/// Sets the shifts of a group of channels to their means.
template <typename Data>
void set_shifts_to_means(const ChannelRange& channels, const ConstChannelVector& mean,
                         ElementType statistics_type, const GroupValues& group) {
    for (std::int64_t index = 0; index < group.channels; ++index) {
        group.set_shift<Data>(index,
                              channel_value(mean, statistics_type, channels.begin + index, 0.0));
    }
}

}  // namespace normgraph::kernel::simd
