#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "normgraph/ir/element_type.hpp"
#include "normgraph/ir/tensor_type.hpp"

/// Arrays in memory that someone else owns.
namespace normgraph::runtime {

/// Where the bytes of an array lie: the first one, and one past the last; the same address where
/// there is no element.
struct ByteRange {
    const std::byte* begin;
    const std::byte* end;
};

/// A strided array: any strides, negative, zero and unaligned ones included.
struct Array {
    element::Type element_type;
    std::span<const std::int64_t> shape;
    std::span<const std::int64_t> strides;  ///< in bytes, one per axis
    std::byte* address = nullptr;           ///< of the element with all indices zero
    bool is_writable = false;

    TensorType tensor_type() const;
    bool is_empty() const;
    ByteRange byte_range() const;
};

/// Same elements in the same places: address, element type, shape, and strides (of axes with more
/// than one element).
bool are_identical_views(const Array& left, const Array& right);

/// Whether the elements lie one after the other in logical order (C order), without gaps.
bool is_contiguous(const Array& array);

/// False only if no byte can belong to both. The test compares the ranges from first to last byte,
/// so views that interleave in one range give true.
bool ranges_overlap(const Array& left, const Array& right);

/// False only if no two elements share a byte. True for a zero stride, and for strides of which
/// none exceeds the extent of the smaller ones (a rule that ordinary views never meet).
bool may_overlap_itself(const Array& array);

/// Checks that `array` can receive an output of this type. Throws std::invalid_argument, which says
/// what was expected and what came, if the element type or the shape differs, if the array is
/// read-only, or if it may overlap itself.
void check_output(const Array& array, const TensorType& type);

/// Throws std::invalid_argument, which begins with `name`, unless the array has fewer elements than
/// element_limit: views with zero strides have any number of them in little memory.
void check_element_limit(const std::string& name, const Array& array);

/// Throws std::invalid_argument, which begins with `name`, unless the array is_contiguous.
void check_contiguous(const std::string& name, const Array& array);

}  // namespace normgraph::runtime
