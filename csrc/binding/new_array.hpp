#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "normgraph/ir/tensor_type.hpp"
#include "normgraph/runtime/array.hpp"

/// New numpy arrays, for outputs. Their elements are not set. Small ones are made as fast as numpy
/// can; the data of large ones starts on a cache line, that of 1 MiB or more comes from the memory
/// pool of the process.
namespace normgraph::binding {

/// A new array of the same element type and shape; its axes lie in memory in the order of the
/// strides of `like`.
pybind11::array new_array_like(const runtime::Array& like);

/// A new array in C order; the type and the shape are static.
pybind11::array new_array(const TensorType& type);

}  // namespace normgraph::binding
