#include "binding/output_operators.hpp"

#include <pybind11/numpy.h>

#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "binding/conversion.hpp"
#include "binding/instances.hpp"
#include "binding/node_conversion.hpp"
#include "binding/python_errors.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/expressions.hpp"

namespace py = pybind11;

namespace normgraph::binding {
namespace {

struct Operator {
    const char* symbol;
    const char* method;
    const char* reflected_method;
    Output (*apply)(const Output& left, const Output& right);
};

template <typename Op>
Output applied(const Output& left, const Output& right) {
    return std::make_shared<Op>(left, right);
}

constexpr std::array operators{
    Operator{"+", "__add__", "__radd__", applied<op::Add>},
    Operator{"-", "__sub__", "__rsub__", applied<op::Subtract>},
    Operator{"*", "__mul__", "__rmul__", applied<op::Multiply>},
    Operator{"/", "__truediv__", "__rtruediv__", applied<op::Divide>},
};

constexpr const char* operand_forms = "a Node, an Output or a real number";

std::string operand_of(const Operator& operation, bool is_left) {
    return std::string("the ") + (is_left ? "left" : "right") + " operand of " + operation.symbol;
}

bool is_numpy_scalar(py::handle object) {
    return py::isinstance(object, py::module_::import("numpy").attr("generic"));
}

/// numpy's scalars that store a number, those of ml_dtypes included.
bool is_number_of_numpy(py::handle object) {
    if (!is_numpy_scalar(object)) {
        return false;
    }
    const std::optional<element::Type> type = element_type_of(
        py::dtype::from_args(py::reinterpret_borrow<py::object>(object.attr("dtype"))));
    return type && *type != element::boolean;
}

/// The number in each place of a tensor like the other operand.
Output constant_operand(const std::string& argument, py::handle number, const Output& other) {
    // Not every scalar is one of Python's numbers: those of ml_dtypes are not.
    const py::object plain =
        is_numpy_scalar(number) ? py::object(py::float_(py::reinterpret_borrow<py::object>(number)))
                                : py::reinterpret_borrow<py::object>(number);
    const double value = number_from_python(argument, plain);
    try {
        return op::constant_like(value, other);
    } catch (const NodeValidationFailure&) {
        throw;
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(argument + ": " + error.what());
    }
}

/// nullopt for what may know how to deal with the value itself.
std::optional<Output> operand_from_python(const std::string& argument, py::handle object,
                                          const Output& other) {
    if (is_instance<Output>(object) || is_instance<Node>(object)) {
        return output_from_python(argument, object);
    }
    if (py::isinstance<py::array>(object)) {
        throw py::type_error(
            argument + ": expected " + operand_forms +
            ", got an ndarray; make it a Constant of the other operand's shape, or "
            "repeat it along the axes that it has not by Broadcast");
    }
    const bool is_number = PyFloat_Check(object.ptr()) != 0 || PyLong_Check(object.ptr()) != 0;
    if (PyBool_Check(object.ptr()) != 0 ||
        (is_numpy_scalar(object) && !is_number_of_numpy(object))) {
        throw py::type_error(argument + ": expected " + operand_forms + ", got " +
                             describe(object));
    }
    return is_number || is_number_of_numpy(object)
               ? std::optional(constant_operand(argument, object, other))
               : std::nullopt;
}

/// `self` is the left operand, or, where Python has exchanged them, the right one.
py::object apply(const Operator& operation, py::handle self, py::handle other, bool is_left) {
    const Output value = output_from_python(operand_of(operation, is_left), self);
    const std::optional<Output> operand =
        operand_from_python(operand_of(operation, !is_left), other, value);
    if (!operand) {
        return py::reinterpret_borrow<py::object>(Py_NotImplemented);
    }
    return py::cast(is_left ? operation.apply(value, *operand) : operation.apply(*operand, value));
}

void define_method(py::handle value_class, const Operator& operation, bool is_left) {
    const char* const name = is_left ? operation.method : operation.reflected_method;
    value_class.attr(name) = py::cpp_function(
        [&operation, is_left](const py::object& self, const py::object& other) {
            return apply(operation, self, other, is_left);
        },
        py::name(name), py::is_method(value_class), py::arg("other"), py::pos_only());
}

}  // namespace

void define_operators(py::handle value_class) {
    // numpy's own operators leave their numbers and arrays to these.
    value_class.attr("__array_ufunc__") = py::none();
    for (const Operator& operation : operators) {
        define_method(value_class, operation, true);
        define_method(value_class, operation, false);
    }
    value_class.attr("__neg__") = py::cpp_function(
        [](const py::object& self) -> Output {
            return std::make_shared<op::Negate>(output_from_python("the operand of -", self));
        },
        py::name("__neg__"), py::is_method(value_class));
}

}  // namespace normgraph::binding
