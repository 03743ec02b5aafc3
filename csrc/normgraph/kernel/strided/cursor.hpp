#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/strided/axes.hpp"

namespace normgraph::kernel {

/// A place among the elements of some axes, the same in all of their tensors, which moves in
/// logical order.
template <std::size_t tensors = 1>
class StridedCursor {
public:
    /// `axes` outlives the cursor.
    explicit StridedCursor(const StridedAxes<tensors>& axes, std::int64_t position = 0)
        : axes_(&axes),
          run_length_(axes.innermost().length),
          run_strides_(axes.innermost().strides) {
        seek(position);
    }

    /// 0 <= position <= the number of elements; the latter only if nothing is read then.
    void seek(std::int64_t position) {
        offsets_ = {};
        const auto axes = axes_->axes();
        for (std::size_t axis = axes.size() - 1; axis > 0; --axis) {
            const std::int64_t length = axes[axis].length;
            indices_[axis] = position % length;
            position /= length;
            move(axis, indices_[axis]);
        }
        indices_[0] = position;
        move(0, position);
        place_in_run_ = indices_[axes.size() - 1];
    }

    /// Bytes from the tensor's first element to the current one.
    std::int64_t offset(std::size_t tensor = 0) const { return offsets_[tensor]; }
    /// Elements from here on that follow each other by stride().
    std::int64_t run() const { return run_length_ - place_in_run_; }
    std::int64_t stride() const { return run_strides_[0]; }

    /// 0 <= count <= run().
    void advance(std::int64_t count = 1) {
        place_in_run_ += count;
        for (std::size_t tensor = 0; tensor < tensors; ++tensor) {
            offsets_[tensor] += count * run_strides_[tensor];
        }
        if (place_in_run_ == run_length_) {
            carry();
        }
    }

private:
    /// From the end of a run to the beginning of the next. The end of all elements stays where it
    /// is.
    void carry() {
        const auto axes = axes_->axes();
        std::size_t axis = axes.size() - 1;
        indices_[axis] = place_in_run_;
        while (axis > 0 && indices_[axis] == axes[axis].length) {
            move(axis, -indices_[axis]);
            indices_[axis--] = 0;
            ++indices_[axis];
            move(axis, 1);
        }
        place_in_run_ = indices_[axes.size() - 1];
    }

    void move(std::size_t axis, std::int64_t steps) {
        for (std::size_t tensor = 0; tensor < tensors; ++tensor) {
            offsets_[tensor] += steps * axes_->axes()[axis].strides[tensor];
        }
    }

    const StridedAxes<tensors>* axes_;
    std::int64_t run_length_;
    typename StridedAxes<tensors>::Strides run_strides_;
    std::int64_t place_in_run_ = 0;
    std::array<std::int64_t, tensors> offsets_{};
    std::array<std::int64_t, StridedAxes<tensors>::most_axes>
        indices_;  // as many as there are axes
};

using TensorCursor = StridedCursor<1>;

}  // namespace normgraph::kernel
