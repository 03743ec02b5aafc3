#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "normgraph/kernel/layout.hpp"
#include "normgraph/kernel/strided/axes.hpp"
#include "normgraph/kernel/strided/cursor.hpp"
#include "normgraph/kernel/strided/extents.hpp"

namespace normgraph::kernel::reference {

/// Up to three tensors of one shape, channel by channel; absent ones have stride 0.
struct View {
    Extents extents;
    SummationOrder order;
    std::array<std::int64_t, 3> channel_strides;
    StridedAxes<3> elements;  ///< all axes but the channel axis, if a channel has elements

    std::int64_t elements_per_channel() const { return extents.elements_per_channel(); }
};

using ViewCursor = StridedCursor<3>;

/// `strides[0]` are those of `input`, which sets the layout class. An empty span is an absent
/// tensor.
inline View make_view(const Problem& problem,
                      const std::array<std::span<const std::int64_t>, 3>& strides) {
    const auto channel_axis = static_cast<std::size_t>(problem.channel_axis);
    const auto strides_of = [&](std::size_t axis) {
        std::array<std::int64_t, 3> result{};
        for (std::size_t tensor = 0; tensor < strides.size(); ++tensor) {
            result[tensor] = strides[tensor].empty() ? 0 : strides[tensor][axis];
        }
        return result;
    };
    View view{
        extents_of(problem), summation_order(problem, strides[0]), strides_of(channel_axis), {}};
    for (std::size_t axis = 0; axis < problem.shape.size() && view.elements_per_channel() > 0;
         ++axis) {
        if (axis != channel_axis) {
            view.elements.append(problem.shape[axis], strides_of(axis));
        }
    }
    return view;
}

}  // namespace normgraph::kernel::reference
