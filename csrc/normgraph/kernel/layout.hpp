#pragma once

#include <cstdint>
#include <span>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/kernel/summation_order.hpp"

namespace normgraph::kernel {

inline Extents extents_of(const Problem& problem) {
    return extents_of(problem.shape, problem.channel_axis);
}

inline SampleExtents sample_extents(const Problem& problem) {
    return sample_extents(problem.shape, problem.channel_axis);
}

/// The class of a tensor: channels_last if C > 1 and the channel stride is not zero and smaller in
/// magnitude than every other nonzero stride, axes of length 1 ignored; else channels_first.
LayoutClass layout_class_of(const Problem& problem, std::span<const std::int64_t> strides);

/// The order in which a problem's channels are summed, `strides` being those of the input.
inline SummationOrder summation_order(const Problem& problem,
                                      std::span<const std::int64_t> strides) {
    return summation_order(layout_class_of(problem, strides), problem.data_type,
                           all_channels(problem).end, sample_extents(problem));
}

/// The samples of a leaf, where it is whole: a power of two. 1 where a channel is empty.
inline std::int64_t samples_per_leaf(const SummationOrder& order, const SampleExtents& extents) {
    if (order.is_empty()) {
        return 1;
    }
    return order.rows_are_axes ? order.leaf_rows / extents.rows
                               : order.leaf_length / (extents.rows * extents.length);
}

}  // namespace normgraph::kernel
