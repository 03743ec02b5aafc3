#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/summation_order.hpp"

/// Tensors of any rank and any strides as one strided view [outer, C, inner].
namespace normgraph::kernel {

/// Of one axis, or of neighbouring axes that every tensor steps through as if they were one.
struct ViewAxis {
    std::int64_t length;
    std::array<std::int64_t, 3> strides;  ///< in bytes, one per tensor of the view
};

/// Up to three tensors of one shape (absent ones have stride 0), their axes of length 1 dropped.
struct View {
    /// 62 axes of length 2 are all that fit 64-bit indices.
    static constexpr std::size_t max_axes = 64;

    std::int64_t outer;     ///< product of the lengths before the channel axis
    std::int64_t channels;  ///< length of the channel axis
    std::int64_t inner;     ///< product of the lengths after it
    std::array<std::int64_t, 3> channel_strides;
    LayoutClass layout_class;
    /// All axes but the channel axis, outermost first, merged; at least one if a channel has
    /// elements, none if it has not.
    std::array<ViewAxis, max_axes> axes;
    std::size_t axis_count = 0;

    std::int64_t elements_per_channel() const { return outer * inner; }
    SummationOrder order() const { return summation_order(layout_class, outer, channels, inner); }
};

/// The class of a tensor: channels_last if C > 1 and the channel stride is not zero and smaller in
/// magnitude than every other nonzero stride, axes of length 1 ignored; else channels_first.
LayoutClass layout_class_of(const Problem& problem, std::span<const std::int64_t> strides);

/// `strides[0]` are those of `input`, which sets the layout class. An empty span is an absent
/// tensor.
View make_view(const Problem& problem, const std::array<std::span<const std::int64_t>, 3>& strides);

/// Walks the elements of one channel in logical order, all tensors of a view in step.
template <std::size_t TensorCount>
class ElementWalker {
public:
    /// `view` has elements and outlives the walker.
    explicit ElementWalker(const View& view) : view_(view) {
        const ViewAxis& run = view.axes[view.axis_count - 1];
        run_length_ = run.length;
        for (std::size_t tensor = 0; tensor < TensorCount; ++tensor) {
            run_strides_[tensor] = run.strides[tensor];
        }
    }

    /// Offset in bytes of the current element from the first one of its channel.
    std::int64_t offset(std::size_t tensor) const { return offsets_[tensor]; }

    void advance() {
        if (++position_in_run_ < run_length_) {
            for (std::size_t tensor = 0; tensor < TensorCount; ++tensor) {
                offsets_[tensor] += run_strides_[tensor];
            }
        } else {
            carry();
        }
    }

private:
    void carry() {
        rewind(view_.axis_count - 1, run_length_ - 1);
        position_in_run_ = 0;
        for (std::size_t axis = view_.axis_count - 1; axis-- > 0;) {
            if (++indices_[axis] < view_.axes[axis].length) {
                rewind(axis, -1);
                return;
            }
            rewind(axis, view_.axes[axis].length - 1);
            indices_[axis] = 0;
        }
    }

    void rewind(std::size_t axis, std::int64_t steps) {
        for (std::size_t tensor = 0; tensor < TensorCount; ++tensor) {
            offsets_[tensor] -= steps * view_.axes[axis].strides[tensor];
        }
    }

    const View& view_;
    std::int64_t run_length_ = 0;
    std::int64_t position_in_run_ = 0;
    std::array<std::int64_t, TensorCount> run_strides_{};
    std::array<std::int64_t, TensorCount> offsets_{};
    std::array<std::int64_t, View::max_axes> indices_{};
};

}  // namespace normgraph::kernel
