#include "normgraph/runtime/array.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "normgraph/indices/element_limit.hpp"
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

bool has_shape(const Array& array, const PartialShape& shape) {
    return std::ranges::equal(array.shape, shape.dimensions(), {}, {}, &Dimension::length);
}

}  // namespace

TensorType Array::tensor_type() const {
    return {element_type, PartialShape(std::vector<Dimension>(shape.begin(), shape.end()))};
}

bool Array::is_empty() const {
    return std::ranges::find(shape, 0) != shape.end();
}

ByteRange Array::byte_range() const {
    if (is_empty()) {
        return {address, address};
    }
    std::int64_t lowest = 0;
    std::int64_t highest = static_cast<std::int64_t>(element_type.size());
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        const std::int64_t reach = strides[axis] * (shape[axis] - 1);
        (reach < 0 ? lowest : highest) += reach;
    }
    return {address + lowest, address + highest};
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
    const ByteRange left_range = left.byte_range();
    const ByteRange right_range = right.byte_range();
    const std::less<const std::byte*> before;
    return before(left_range.begin, right_range.end) && before(right_range.begin, left_range.end);
}

bool may_overlap_itself(const Array& array) {
    if (array.is_empty()) {
        return false;
    }
    std::vector<std::size_t> axes;
    axes.reserve(array.shape.size());
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

void check_output(const Array& array, const TensorType& type) {
    if (array.element_type != type.element_type || !has_shape(array, type.partial_shape)) {
        throw std::invalid_argument("expected an array of " + type.to_string() + ", got " +
                                    array.tensor_type().to_string());
    }
    if (!array.is_writable) {
        throw std::invalid_argument("expected a writable array, got a read-only one");
    }
    if (may_overlap_itself(array)) {
        throw std::invalid_argument(
            "expected an array whose elements have memory of their own, got strides " +
            format_strides(array.strides) + " (in bytes) for shape " +
            array.tensor_type().partial_shape.to_string());
    }
}

void check_element_limit(const std::string& name, const Array& array) {
    if (!is_within_element_limit(array.shape)) {
        throw std::invalid_argument(name + ": expected fewer than 2^56 elements, got shape " +
                                    array.tensor_type().partial_shape.to_string());
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
