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

/// The class of a tensor: channels_last if C > 1 and the channel stride is not zero and smaller in
/// magnitude than every other nonzero stride, axes of length 1 ignored; else channels_first.
LayoutClass layout_class_of(const Problem& problem, std::span<const std::int64_t> strides);

}  // namespace normgraph::kernel
