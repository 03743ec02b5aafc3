#include "normgraph/kernel/layout.hpp"

#include <cstdlib>

namespace normgraph::kernel {
LayoutClass layout_class_of(const Problem& problem, std::span<const std::int64_t> strides) {
    const auto channel_axis = static_cast<std::size_t>(problem.channel_axis);
    const std::int64_t channel_stride = std::abs(strides[channel_axis]);
    if (problem.shape[channel_axis] <= 1 || channel_stride == 0) {
        return LayoutClass::channels_first;
    }
    for (std::size_t axis = 0; axis < strides.size(); ++axis) {
        const bool counts = axis != channel_axis && problem.shape[axis] != 1 && strides[axis] != 0;
        if (counts && std::abs(strides[axis]) <= channel_stride) {
            return LayoutClass::channels_first;
        }
    }
    return LayoutClass::channels_last;
}

}  // namespace normgraph::kernel
