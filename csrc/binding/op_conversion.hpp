#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "normgraph/ir/tensor_type.hpp"
#include "normgraph/op/signature.hpp"

/// What the constructors and the `infer` of the op classes take and return.
namespace normgraph::binding {

/// The docstring of every `infer`.
extern const char* const infer_doc;

/// The names of ports, as a tuple of str.
pybind11::tuple names_to_python(std::span<const op::Port> ports);

/// A tuple (element type, shape).
TensorType tensor_type_from_python(const std::string& argument, pybind11::handle object);

/// A tuple of such tuples.
pybind11::tuple to_python(const std::vector<TensorType>& types);

/// A sequence of integers.
std::vector<std::int64_t> axes_from_python(const std::string& argument, pybind11::handle object);

/// True or False, and nothing that could stand for them.
bool flag_from_python(const std::string& argument, pybind11::handle object);

}  // namespace normgraph::binding
