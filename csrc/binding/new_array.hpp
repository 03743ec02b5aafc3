#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>

#include "normgraph/runtime/array.hpp"

/// New numpy arrays, for outputs. Their elements are not set. Small ones are made as fast as numpy
/// can; the data of large ones starts on a cache line.
namespace normgraph::binding {

/// A new array of the same element type and shape; its axes lie in memory in the order of the
/// strides of `like`.
pybind11::array new_array_like(const runtime::Array& like);

/// A new vector.
pybind11::array new_vector(element::Type type, std::int64_t length);

}  // namespace normgraph::binding
