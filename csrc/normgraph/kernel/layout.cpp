#include "normgraph/kernel/layout.hpp"

#include <cstdlib>

namespace normgraph::kernel {
namespace {

/// Two neighbouring axes are one where a step of the outer equals a full run of the inner.
bool are_one(const ViewAxis& outer, const ViewAxis& inner) {
    for (std::size_t tensor = 0; tensor < outer.strides.size(); ++tensor) {
        if (outer.strides[tensor] != inner.strides[tensor] * inner.length) {
            return false;
        }
    }
    return true;
}

void append(View& view, const ViewAxis& axis) {
    if (view.axis_count > 0 && are_one(view.axes[view.axis_count - 1], axis)) {
        ViewAxis& last = view.axes[view.axis_count - 1];
        last = {last.length * axis.length, axis.strides};
    } else {
        view.axes[view.axis_count++] = axis;
    }
}

}  // namespace

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

View make_view(const Problem& problem,
               const std::array<std::span<const std::int64_t>, 3>& strides) {
    const auto channel_axis = static_cast<std::size_t>(problem.channel_axis);
    const auto axis_of = [&](std::size_t axis) {
        ViewAxis result{problem.shape[axis], {0, 0, 0}};
        for (std::size_t tensor = 0; tensor < strides.size(); ++tensor) {
            result.strides[tensor] = strides[tensor].empty() ? 0 : strides[tensor][axis];
        }
        return result;
    };
    View view;
    view.outer = product(problem.shape.first(channel_axis));
    view.channels = problem.shape[channel_axis];
    view.inner = product(problem.shape.subspan(channel_axis + 1));
    view.channel_strides = axis_of(channel_axis).strides;
    view.layout_class = layout_class_of(problem, strides[0]);
    if (view.elements_per_channel() == 0) {
        return view;
    }
    for (std::size_t axis = 0; axis < problem.shape.size(); ++axis) {
        if (axis != channel_axis && problem.shape[axis] != 1) {
            append(view, axis_of(axis));
        }
    }
    if (view.axis_count == 0) {
        view.axes[view.axis_count++] = {1, {0, 0, 0}};
    }
    return view;
}

}  // namespace normgraph::kernel
