#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// Walks over the elements of one tensor in logical order, whatever its strides.
namespace normgraph::kernel {

/// The axes of a tensor, those of length 1 dropped, neighbours merged where one step of the outer
/// is a full run of the inner. There is at least one; of a tensor without elements, one of length
/// 0.
class TensorAxes {
public:
    struct Axis {
        std::int64_t length;
        std::int64_t stride;  ///< in bytes
    };
    static constexpr std::size_t max_axes = 64;

    TensorAxes(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides) {
        if (std::ranges::find(shape, 0) != shape.end()) {
            count_ = 0;
        } else {
            for (std::size_t axis = 0; axis < shape.size(); ++axis) {
                append({shape[axis], strides[axis]});
                count_ *= shape[axis];
            }
        }
        if (axis_count_ == 0) {
            axes_[axis_count_++] = {count_, 0};
        }
    }

    std::int64_t element_count() const { return count_; }
    std::span<const Axis> axes() const { return {axes_.data(), axis_count_}; }
    const Axis& innermost() const { return axes_[axis_count_ - 1]; }

    bool is_contiguous(std::size_t element_size) const {
        return count_ <= 1 ||
               (axis_count_ == 1 && innermost().stride == static_cast<std::int64_t>(element_size));
    }
    /// Whether all elements are one.
    bool is_uniform() const { return count_ == 1 || (axis_count_ == 1 && innermost().stride == 0); }

private:
    void append(const Axis& axis) {
        if (axis.length == 1) {
            return;
        }
        if (axis_count_ > 0 && axes_[axis_count_ - 1].stride == axis.stride * axis.length) {
            Axis& last = axes_[axis_count_ - 1];
            last = {last.length * axis.length, axis.stride};
        } else {
            axes_[axis_count_++] = axis;
        }
    }

    std::array<Axis, max_axes> axes_;
    std::size_t axis_count_ = 0;
    std::int64_t count_ = 1;
};

/// A place in a tensor that has elements.
class TensorCursor {
public:
    /// `axes` outlives the cursor.
    explicit TensorCursor(const TensorAxes& axes, std::int64_t position = 0) : axes_(axes.axes()) {
        seek(position);
    }

    /// 0 <= position <= the number of elements; the latter only if nothing is read then.
    void seek(std::int64_t position) {
        offset_ = 0;
        for (std::size_t axis = axes_.size() - 1; axis > 0; --axis) {
            const std::int64_t length = axes_[axis].length;
            indices_[axis] = position % length;
            position /= length;
            offset_ += indices_[axis] * axes_[axis].stride;
        }
        indices_[0] = position;
        offset_ += position * axes_[0].stride;
    }

    /// Offset in bytes of the current element from the first one.
    std::int64_t offset() const { return offset_; }
    /// Elements from here on that follow each other by stride().
    std::int64_t run() const { return axes_.back().length - indices_[axes_.size() - 1]; }
    std::int64_t stride() const { return axes_.back().stride; }

    /// 0 <= count <= run().
    void advance(std::int64_t count) {
        std::size_t axis = axes_.size() - 1;
        indices_[axis] += count;
        offset_ += count * axes_[axis].stride;
        while (axis > 0 && indices_[axis] == axes_[axis].length) {
            offset_ -= indices_[axis] * axes_[axis].stride;
            indices_[axis--] = 0;
            ++indices_[axis];
            offset_ += axes_[axis].stride;
        }
    }

private:
    std::span<const TensorAxes::Axis> axes_;
    std::array<std::int64_t, TensorAxes::max_axes> indices_;
    std::int64_t offset_ = 0;
};

/// The next `count` elements, of `size` bytes each, side by side into `target`.
void gather(TensorCursor& cursor, const std::byte* tensor, std::size_t size, std::int64_t count,
            std::byte* target);

/// `count` elements that lie side by side to the cursor's next places.
void scatter(TensorCursor& cursor, std::byte* tensor, std::size_t size, std::int64_t count,
             const std::byte* source);

}  // namespace normgraph::kernel
