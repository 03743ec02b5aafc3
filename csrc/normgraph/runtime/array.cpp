#include "normgraph/runtime/array.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <vector>

#include "normgraph/ir/text.hpp"

namespace normgraph::runtime {
namespace {

std::string format_strides(std::span<const std::int64_t> strides) {
    std::vector<std::string> texts;
    for (const std::int64_t stride : strides) {
        texts.push_back(std::to_string(stride));
    }
    return "(" + join(texts, ", ") + ")";
}

}  // namespace

TensorType Array::tensor_type() const {
    return {element_type, PartialShape(std::vector<Dimension>(shape.begin(), shape.end()))};
}

bool Array::is_empty() const {
    return std::ranges::find(shape, 0) != shape.end();
}

std::int64_t Array::lowest_offset() const {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < shape.size() && !is_empty(); ++axis) {
        offset += std::min<std::int64_t>(0, strides[axis] * (shape[axis] - 1));
    }
    return offset;
}

std::int64_t Array::highest_offset() const {
    if (is_empty()) {
        return 0;
    }
    std::int64_t offset = static_cast<std::int64_t>(element_type.size());
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        offset += std::max<std::int64_t>(0, strides[axis] * (shape[axis] - 1));
    }
    return offset;
}

bool are_identical_views(const Array& left, const Array& right) {
    if (left.address != right.address || left.element_type != right.element_type ||
        !std::ranges::equal(left.shape, right.shape)) {
        return false;
    }
    for (std::size_t axis = 0; axis < left.shape.size(); ++axis) {
        if (left.shape[axis] > 1 && left.strides[axis] != right.strides[axis]) {
            return false;
        }
    }
    return true;
}

bool is_contiguous(const Array& array) {
    if (array.is_empty()) {
        return true;
    }
    auto stride = static_cast<std::int64_t>(array.element_type.size());
    for (std::size_t axis = array.shape.size(); axis-- > 0;) {
        if (array.shape[axis] > 1 && array.strides[axis] != stride) {
            return false;
        }
        stride *= array.shape[axis];
    }
    return true;
}

bool ranges_overlap(const Array& left, const Array& right) {
    const std::less<const std::byte*> before;
    return before(left.first_byte(), right.first_byte() + right.byte_extent()) &&
           before(right.first_byte(), left.first_byte() + left.byte_extent());
}

bool may_overlap_itself(const Array& array) {
    if (array.is_empty()) {
        return false;
    }
    std::vector<std::size_t> axes;
    for (std::size_t axis = 0; axis < array.shape.size(); ++axis) {
        if (array.shape[axis] > 1) {
            axes.push_back(axis);
        }
    }
    std::ranges::sort(axes, {}, [&](std::size_t axis) { return std::abs(array.strides[axis]); });
    auto extent = static_cast<std::int64_t>(array.element_type.size());
    for (const std::size_t axis : axes) {
        const std::int64_t stride = std::abs(array.strides[axis]);
        if (stride < extent) {
            return true;
        }
        extent += stride * (array.shape[axis] - 1);
    }
    return false;
}

void check_output(const std::string& name, const Array& array, const TensorType& type) {
    const TensorType given = array.tensor_type();
    if (given != type) {
        throw std::invalid_argument(name + ": expected an array of " + type.to_string() + ", got " +
                                    given.to_string());
    }
    if (!array.is_writable) {
        throw std::invalid_argument(name + ": expected a writable array, got a read-only one");
    }
    if (may_overlap_itself(array)) {
        throw std::invalid_argument(name +
                                    ": expected an array whose elements have memory of their own, "
                                    "got strides " +
                                    format_strides(array.strides) + " (in bytes) for shape " +
                                    given.partial_shape.to_string());
    }
}

void check_contiguous(const std::string& name, const Array& array) {
    if (!is_contiguous(array)) {
        throw std::invalid_argument(name +
                                    ": expected an array in C order without gaps, got strides " +
                                    format_strides(array.strides) + " (in bytes) for shape " +
                                    array.tensor_type().partial_shape.to_string());
    }
}

}  // namespace normgraph::runtime
