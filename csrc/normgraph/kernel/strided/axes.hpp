#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// Axes in any strides, taken as one index in logical order.
namespace normgraph::kernel {

/// Some axes of tensors of one shape, outermost first. Axes of length 1 are dropped, and neighbours
/// are merged where every tensor steps through them as if they were one. There is always one axis
/// at least: of length 1 if no other is left, of length 0 if there are no elements.
template <std::size_t tensors = 1>
class StridedAxes {
public:
    /// 62 axes of length 2 are all that fit 64-bit indices.
    static constexpr std::size_t most_axes = 64;
    using Strides = std::array<std::int64_t, tensors>;  ///< in bytes
    struct Axis {
        std::int64_t length;
        Strides strides;
    };

    StridedAxes() { axes_[0] = {1, {}}; }

    /// All axes of one tensor.
    StridedAxes(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides)
        : StridedAxes() {
        if (std::ranges::find(shape, 0) != shape.end()) {
            append(0, {});  // the product of the other lengths may overflow
            return;
        }
        for (std::size_t axis = 0; axis < shape.size(); ++axis) {
            append(shape[axis], {strides[axis]});
        }
    }

    /// Adds an axis inside of those that are there.
    void append(std::int64_t length, const Strides& strides) {
        element_count_ *= length;
        if (element_count_ == 0) {
            axis_count_ = 1;
            axes_[0] = {0, {}};
        } else if (length != 1) {
            append_axis({length, strides});
        }
    }

    std::int64_t element_count() const { return element_count_; }
    std::span<const Axis> axes() const { return {axes_.data(), axis_count_}; }
    const Axis& innermost() const { return axes_[axis_count_ - 1]; }
    std::int64_t stride() const { return innermost().strides[0]; }

    /// Whether index i of the first tensor lies at i·stride().
    bool is_one_axis() const { return axis_count_ == 1; }
    bool is_contiguous(std::size_t element_size) const {
        return element_count_ <= 1 ||
               (is_one_axis() && stride() == static_cast<std::int64_t>(element_size));
    }
    /// Whether all elements are one.
    bool is_uniform() const { return element_count_ == 1 || (is_one_axis() && stride() == 0); }

    /// Bytes from the first tensor's first element to the one of this index.
    std::int64_t offset_of(std::int64_t index) const {
        if (is_one_axis()) {
            return index * stride();
        }
        std::int64_t offset = 0;
        for (std::size_t axis = axis_count_; axis-- > 0;) {
            offset += index % axes_[axis].length * axes_[axis].strides[0];
            index /= axes_[axis].length;
        }
        return offset;
    }

    /// How many indices from this one on are `stride()` apart, `count` at most.
    std::int64_t run_length(std::int64_t index, std::int64_t count) const {
        const std::int64_t last_length = innermost().length;
        return is_one_axis() ? count : std::min(count, last_length - index % last_length);
    }

    /// Runs of equal length at equal distances.
    struct Runs {
        std::int64_t count, distance, length;
    };

    /// The runs that begin at this index, as many as are alike, of `count` indices at most.
    Runs runs_at(std::int64_t index, std::int64_t count) const {
        const std::int64_t length = run_length(index, count);
        if (is_one_axis() || length < innermost().length) {
            return {1, 0, length};
        }
        const Axis& axis = axes_[axis_count_ - 2];
        const std::int64_t left = axis.length - index / length % axis.length;
        return {std::min(left, count / length), axis.strides[0], length};
    }

private:
    static bool are_one(const Axis& outer, const Axis& inner) {
        for (std::size_t tensor = 0; tensor < tensors; ++tensor) {
            if (outer.strides[tensor] != inner.strides[tensor] * inner.length) {
                return false;
            }
        }
        return true;
    }

    void append_axis(const Axis& axis) {
        Axis& last = axes_[axis_count_ - 1];
        if (last.length == 1) {
            last = axis;
        } else if (are_one(last, axis)) {
            last = {last.length * axis.length, axis.strides};
        } else {
            axes_[axis_count_++] = axis;
        }
    }

    // Not initialized: of 64 axes few are ever used, and small calls would spend their time here.
    std::array<Axis, most_axes> axes_;
    std::size_t axis_count_ = 1;
    std::int64_t element_count_ = 1;
};

using TensorAxes = StridedAxes<1>;

}  // namespace normgraph::kernel
