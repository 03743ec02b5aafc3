#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "normgraph/kernel/strided/axes.hpp"
#include "normgraph/kernel/strided/copy.hpp"

/// Ranges of logical indices as boxes: what lies in any order of the axes is
/// copied box by box.
namespace normgraph::kernel {

/// Calls function(target offset, source offset) for all indices of loops, outermost first: of a
/// length, a target_stride and a source_stride each.
template <typename Axis, typename Function>
void for_each_offset(const std::vector<Axis>& loops, const Function& function) {
    std::vector<std::int64_t> indices(loops.size());
    std::int64_t target = 0;
    std::int64_t source = 0;
    for (std::size_t axis = 1; axis > 0;) {
        function(target, source);
        // To the next indices, innermost first; `axis` counts those that may go on.
        for (axis = loops.size(); axis > 0; --axis) {
            const Axis& loop = loops[axis - 1];
            std::int64_t& index = indices[axis - 1];
            target += loop.target_stride;
            source += loop.source_stride;
            if (++index < loop.length) {
                break;
            }
            target -= index * loop.target_stride;
            source -= index * loop.source_stride;
            index = 0;
        }
    }
}

/// One index along the outer axes, `length` ones along `axis`, and all along
/// the inner ones.
struct RangeBox {
    std::size_t axis;
    std::int64_t length;
    std::int64_t offset;  ///< in bytes, of the first element
    std::int64_t count;   ///< of all elements
};

/// Calls function(box, done) for the boxes that make `count` logical indices
/// from `first` on; `done`: the indices of the boxes before.
template <typename Function>
void for_each_box_of_range(const TensorAxes& tensor, std::int64_t first, std::int64_t count,
                           const Function& function) {
    const auto axes = tensor.axes();
    for (std::int64_t done = 0; done < count;) {
        RangeBox box{axes.size() - 1, 1, 0, 1};
        std::int64_t index = first + done;
        std::int64_t inner = 1;
        bool takes_inner_axes = true;
        for (std::size_t axis = axes.size(); axis-- > 0;) {
            const std::int64_t length = axes[axis].length;
            const std::int64_t own = index % length;
            box.offset += own * axes[axis].strides[0];
            // The outermost axis whose inner ones begin here and fit.
            if (takes_inner_axes && inner <= count - done) {
                box.axis = axis;
                box.length = std::min(length - own, (count - done) / inner);
                box.count = box.length * inner;
            }
            takes_inner_axes = takes_inner_axes && own == 0;
            inner *= length;
            index /= length;
        }
        function(box, done);
        done += box.count;
    }
}

/// Adds the axes of a box, whose logical indices are `distance` bytes apart in
/// the target.
inline void append_axes(std::vector<CopiedAxis>& copied, const TensorAxes& tensor,
                        const RangeBox& box, std::int64_t distance) {
    const auto axes = tensor.axes();
    for (std::size_t axis = axes.size(); axis-- > box.axis;) {
        const std::int64_t length = axis == box.axis ? box.length : axes[axis].length;
        copied.push_back({length, distance, axes[axis].strides[0]});
        distance *= length;
    }
}

/// Ranges of `length` logical indices whose beginnings are `distance` indices
/// apart.
struct StepsOfRange {
    std::int64_t first, length;
    std::int64_t steps, distance;
};

/// Copies elements to [step][index].
inline void copy_steps(const std::byte* tensor, const TensorAxes& axes, const StepsOfRange& range,
                       std::int64_t element_size, std::byte* target) {
    const std::int64_t step = range.steps > 1 ? axes.offset_of(range.distance) : 0;
    for_each_box_of_range(
        axes, range.first, range.length, [&](const RangeBox& box, std::int64_t done) {
            std::vector<CopiedAxis> copied{{range.steps, range.length * element_size, step}};
            append_axes(copied, axes, box, element_size);
            copy_axes(target + done * element_size, tensor + box.offset, copied,
                      static_cast<std::size_t>(element_size));
        });
}

}  // namespace normgraph::kernel
