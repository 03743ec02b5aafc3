#include <pybind11/numpy.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "binding/conversion.hpp"
#include "binding/define_class.hpp"
#include "binding/graph_caster.hpp"
#include "binding/python_errors.hpp"
#include "binding/register.hpp"
#include "normgraph/ir/constant.hpp"

namespace py = pybind11;

namespace normgraph::binding {

namespace {

constexpr const char* constant_doc = R"(A value that is part of the graph.

Constant(value, element_type=None, name=None): an array in any strides and byte order, a number or
nested lists of numbers; copied. Without an element type it has the one numpy gives it (f64 for
Python's float, i64 for int). With one, real numbers are rounded to it, integers must fit. Raises
TypeError for what is no array of numbers and for reals as integers, ValueError for integers that
do not fit.

array() gives a read-only numpy array of the elements, bit for bit.
)";

constexpr const char* value_forms = "an array, a number or nested lists of numbers";

py::array array_from_python(py::handle value) {
    const py::module_ numpy = py::module_::import("numpy");
    if (py::isinstance(value, py::module_::import("numpy.ma").attr("MaskedArray"))) {
        throw py::type_error("value: expected an array without a mask, got a masked array");
    }
    try {
        return numpy.attr("asarray")(value);
    } catch (py::error_already_set& error) {
        pass_on(error);
        raise_because_of(error, PyExc_TypeError,
                         std::string("value: expected ") + value_forms + ", got " +
                             describe(value) + " (" + message_of(error) + ")");
    }
}

/// The element type that the array has, whatever is made of it.
element::Type natural_type(const py::array& array, py::handle value) {
    const std::optional<element::Type> type = element_type_of(array.dtype());
    if (!type) {
        throw py::type_error(std::string("value: expected ") + value_forms + ", got " +
                             describe(value) + " (numpy dtype " + text_of(py::str(array.dtype())) +
                             ")");
    }
    return *type;
}

bool is_integer(element::Type type) {
    return !type.is_real() && type != element::boolean;
}

void check_integers_fit(const py::array& array, element::Type target) {
    if (array.size() == 0) {
        return;
    }
    const py::object limits = py::module_::import("numpy").attr("iinfo")(numpy_dtype(target));
    for (const py::object& extreme : {array.attr("min")(), array.attr("max")()}) {
        const py::int_ value(extreme);
        if (value < py::object(limits.attr("min")) || value > py::object(limits.attr("max"))) {
            throw std::invalid_argument("value: expected integers that fit " +
                                        std::string(target.name()) + ", got " +
                                        text_of(py::str(value)));
        }
    }
}

void check_conversion(const py::array& array, element::Type from, element::Type to) {
    if (to.is_dynamic()) {
        throw std::invalid_argument("element_type: expected a static type, got dynamic");
    }
    const bool keeps_kind = to.is_real() || from == to || (is_integer(to) && !from.is_real());
    if (!keeps_kind) {
        throw py::type_error("value: expected elements that " + std::string(to.name()) +
                             " can store, got " + std::string(from.name()));
    }
    if (is_integer(to) && is_integer(from)) {
        check_integers_fit(array, to);
    }
}

std::vector<std::byte> bytes_of(const py::object& buffer) {
    if (PyObject_CheckBuffer(buffer.ptr()) == 0) {
        throw py::type_error("data: expected bytes or another buffer, got " + describe(buffer));
    }
    // Puts the elements of a strided buffer in order.
    const auto bytes = py::reinterpret_steal<py::bytes>(PyBytes_FromObject(buffer.ptr()));
    if (!bytes) {
        throw py::error_already_set();
    }
    const auto text = static_cast<std::string_view>(bytes);
    const auto* const first = reinterpret_cast<const std::byte*>(text.data());
    return {first, first + text.size()};
}

std::vector<std::byte> elements_of(const py::array& contiguous) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(contiguous.nbytes()));
    if (!bytes.empty()) {
        std::memcpy(bytes.data(), contiguous.data(), bytes.size());
    }
    return bytes;
}

PartialShape shape_of(const py::array& array) {
    return PartialShape(std::vector<Dimension>(array.shape(), array.shape() + array.ndim()));
}

std::shared_ptr<Constant> make_constant(const py::object& value, const py::object& element_type,
                                        const py::object& name) {
    const py::array array = array_from_python(value);
    const element::Type from = natural_type(array, value);
    const element::Type to =
        element_type.is_none() ? from : element_type_from_python("element_type", element_type);
    check_conversion(array, from, to);
    const py::array contiguous = py::module_::import("numpy").attr("array")(
        array, py::arg("dtype") = numpy_dtype(to), py::arg("order") = "C");
    return std::make_shared<Constant>(to, shape_of(array), elements_of(contiguous),
                                      friendly_name_from_python(name));
}

std::shared_ptr<Constant> make_constant_from_bytes(const py::object& element_type,
                                                   const py::object& shape, const py::object& data,
                                                   const py::object& name) {
    const element::Type type = element_type_from_python("element_type", element_type);
    return std::make_shared<Constant>(type, partial_shape_from_python("shape", shape),
                                      bytes_of(data), friendly_name_from_python(name));
}

/// A view of the constant's own bytes, which lives as long as the array does.
py::array array_of(const std::shared_ptr<Constant>& constant) {
    std::vector<py::ssize_t> lengths;
    for (const Dimension& dimension : constant->shape().dimensions()) {
        lengths.push_back(static_cast<py::ssize_t>(dimension.length()));
    }
    py::array array(numpy_dtype(constant->element_type()), lengths, constant->data().data(),
                    py::cast(constant));
    array.attr("setflags")(py::arg("write") = false);
    return array;
}

/// "[1.0, 2.0, ..., 8.0]": in one line, of many values the first and the last. Empty where numpy
/// has no such elements.
std::string values_of(const std::shared_ptr<Constant>& constant) {
    try {
        constexpr int longest_line = 1 << 20;
        const py::object text = py::module_::import("numpy").attr("array2string")(
            array_of(constant), py::arg("threshold") = 8, py::arg("edgeitems") = 2,
            py::arg("separator") = ", ", py::arg("max_line_width") = longest_line);
        const py::object words = py::str(" ").attr("join")(text.attr("split")());
        return " " + text_of(words);
    } catch (const py::error_already_set& error) {
        if (error.matches(PyExc_ImportError)) {
            return "";
        }
        throw;
    }
}

std::string repr_of(const std::shared_ptr<Constant>& constant) {
    return "Constant '" + constant->friendly_name() + "' -> (" +
           constant->output_type(0).to_string() + ")" + values_of(constant);
}

}  // namespace

void register_constant(py::module_& module) {
    define_class<Constant, Node, std::shared_ptr<Constant>>(module, "Constant", constant_doc,
                                                            py::is_final())
        .def(py::init(&make_constant), py::arg("value"), py::arg("element_type") = py::none(),
             py::arg("name") = py::none())
        .def_static("from_bytes", &make_constant_from_bytes, py::arg("element_type"),
                    py::arg("shape"), py::arg("data"), py::arg("name") = py::none(),
                    "From the elements in row-major order, in this machine's byte order. Raises "
                    "ValueError if the number of bytes is not the shape's.")
        .def_property_readonly("element_type", &Constant::element_type, copied)
        .def_property_readonly(
            "shape", [](const Constant& self) { return to_python(self.shape()); },
            "The lengths of the axes, a tuple of int.")
        .def("array", &array_of,
             "The elements, a read-only numpy array. ImportError for bf16 without ml_dtypes.")
        .def("__repr__", &repr_of)
        .attr("__module__") = "normgraph";
}

}  // namespace normgraph::binding
