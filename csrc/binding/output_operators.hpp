#pragma once

#include <pybind11/pybind11.h>

namespace normgraph::binding {

/// Gives a class of values, Output or Node, Python's operators `+ - * /` and unary minus. The other
/// operand is a Node, an Output, or a number: a constant of the value's element type and shape.
void define_operators(pybind11::handle value_class);

}  // namespace normgraph::binding
