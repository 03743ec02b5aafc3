#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "normgraph/ir/element_type.hpp"
#include "normgraph/ir/partial_shape.hpp"
#include "normgraph/kernel/dispatch.hpp"

/// Plain Python values to the vocabulary of the graph and back. `argument` begins every message:
/// "shape", "gamma". What has the wrong type raises TypeError, a wrong value ValueError.
namespace normgraph::binding {

/// Any real number but a bool. Whether it is a valid epsilon is the op's to check.
double epsilon_from_python(pybind11::handle object);

/// Any real number but a bool. Whether it is a valid upper bound of a ReLU is the op's to check.
double upper_bound_from_python(pybind11::handle object);

/// Any real number but a bool. Whether it is a valid momentum is the update's to check.
double momentum_from_python(pybind11::handle object);

/// n, the elements per channel: any integer but a bool. Whether it is enough is the update's to
/// check.
std::int64_t element_count_from_python(pybind11::handle object);

/// Any real number but a bool.
double number_from_python(const std::string& argument, pybind11::handle object);

/// Any integer but a bool. Whether it lies within the rank is the op's to check.
std::int64_t axis_from_python(const std::string& argument, pybind11::handle object);

/// The same, of the argument channel_axis.
std::int64_t channel_axis_from_python(pybind11::handle object);

/// None or null (what get_num_threads returns) or an integer >= 1; ValueError for a smaller one.
std::int64_t num_threads_from_python(pybind11::handle object);

/// None or null (the chosen one) or the name of an implementation that runs here.
const kernel::Implementation& implementation_from_python(pybind11::handle object);

/// A Type, a name ("f32", also numpy's "float32"), a numpy dtype or scalar class, or a dtype of
/// torch or JAX.
element::Type element_type_from_python(const std::string& argument, pybind11::handle object);

/// A Dimension, a length, None (any length), or (low, high) with high None for no upper bound.
Dimension dimension_from_python(const std::string& argument, pybind11::handle object);

/// A PartialShape, None (dynamic rank), or a sequence of what dimension_from_python takes.
PartialShape partial_shape_from_python(const std::string& argument, pybind11::handle object);

/// A non-empty str; None, which gives the empty string, stands for a generated name.
std::string friendly_name_from_python(pybind11::handle object);

/// A str in UTF-8; ValueError for one that holds surrogates, which UTF-8 has not.
std::string utf8_from_python(const std::string& argument, pybind11::handle str);

/// The same object as a Python int; TypeError, which says that `expected` was expected, for what is
/// no integer, and for a bool.
pybind11::int_ index_from_python(const std::string& argument, const std::string& expected,
                                 pybind11::handle object);

/// Any integer but a bool; ValueError, which says that `expected` was expected, for one that does
/// not fit 64 bits.
std::int64_t integer_from_python(const std::string& argument, const std::string& expected,
                                 pybind11::handle object);

/// What dimension_from_python reads back: 4, None or (low, high).
pybind11::object to_python(const Dimension& dimension);

/// What partial_shape_from_python reads back: None or a tuple.
pybind11::object to_python(const PartialShape& shape);

/// The items of a list, a tuple or another sequence that is no text and no node. TypeError says
/// that `expected` was expected.
pybind11::tuple sequence_from_python(const std::string& argument, const std::string& expected,
                                     pybind11::handle object);

/// The items of anything that can be iterated but text and nodes.
pybind11::tuple items_from_python(const std::string& argument, const std::string& expected,
                                  pybind11::handle object);

/// The types of this many bytes; nullopt if there is none.
std::optional<element::Type> integer_type(std::size_t size, bool is_signed);
std::optional<element::Type> floating_point_type(std::size_t size);

/// The element type that a numpy dtype stores, whatever its byte order; nullopt if there is none.
std::optional<element::Type> element_type_of(const pybind11::dtype& dtype);

/// True for a dtype whose bytes are in the other order than this machine's.
bool has_foreign_byte_order(const pybind11::dtype& dtype);

/// What numpy, torch and JAX call a static type: "float32".
std::string numpy_name(element::Type type);

/// The numpy dtype that stores elements of a static type. bf16 is ml_dtypes.bfloat16; raises
/// ImportError, which says what to install, where ml_dtypes is missing.
pybind11::dtype numpy_dtype(element::Type type);

}  // namespace normgraph::binding
