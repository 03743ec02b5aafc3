#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "binding/conversion.hpp"
#include "binding/define_class.hpp"
#include "binding/instances.hpp"
#include "binding/python_errors.hpp"
#include "binding/register.hpp"
#include "normgraph/indices/axis.hpp"
#include "normgraph/ir/partial_shape.hpp"

namespace py = pybind11;

namespace normgraph::binding {

namespace {

constexpr const char* dimension_doc = R"(The length of one axis: an interval the length lies in.

Dimension(4) is static; Dimension(None) may have any length; Dimension((low, high)) lies between
both, with high None for no upper bound. Wherever a dimension is taken, these plain values are too.
Raises ValueError for a negative length and low > high, TypeError for what is no integer.

str() gives 4, ?, 1..8 or 2.. ; a dimension equals its plain value; int() works on static ones.
)";

constexpr const char* partial_shape_doc = R"(What is known about a tensor's shape.

PartialShape([None, 64, (1, 8)]) has rank 3 and dimensions {?,64,1..8}; PartialShape([]) is a
scalar's; PartialShape(None) has a dynamic rank. Wherever a shape is taken, these plain values are
too. Raises what Dimension raises, TypeError for what is no sequence.

str() gives {?,64,1..8}, or ? for a dynamic rank; a shape equals its plain value. len(), indexing
and iteration go over the dimensions and raise ValueError if the rank is dynamic.
)";

py::object not_implemented() {
    return py::reinterpret_borrow<py::object>(Py_NotImplemented);
}

py::object equals(const Dimension& dimension, const py::object& other) {
    if (is_instance<Dimension>(other)) {
        return py::bool_(dimension == other.cast<Dimension>());
    }
    if (other.is_none() || py::isinstance<py::int_>(other) || py::isinstance<py::tuple>(other)) {
        return py::bool_(to_python(dimension).equal(other));
    }
    return not_implemented();
}

py::object equals(const PartialShape& shape, const py::object& other) {
    if (is_instance<PartialShape>(other)) {
        return py::bool_(shape == other.cast<PartialShape>());
    }
    if (other.is_none() || py::isinstance<py::tuple>(other)) {
        return py::bool_(to_python(shape).equal(other));
    }
    if (py::isinstance<py::list>(other)) {
        return py::bool_(to_python(shape).equal(py::tuple(other)));
    }
    return not_implemented();
}

template <typename Value>
Value merged(const Value& left, const Value& right) {
    const std::optional<Value> merged = Value::merge(left, right);
    if (!merged) {
        throw std::invalid_argument("nothing is described by both " + left.to_string() + " and " +
                                    right.to_string());
    }
    return *merged;
}

const Dimension& dimension_at(const PartialShape& shape, const py::object& key) {
    const std::int64_t axis = integer_from_python("axis", "an integer", key);
    const auto rank = static_cast<std::int64_t>(shape.size());
    if (axis < -rank || axis >= rank) {
        throw py::index_error("axis: expected -" + std::to_string(rank) + " to " +
                              std::to_string(rank - 1) + " for the shape " + shape.to_string() +
                              ", got " + std::to_string(axis));
    }
    return shape[static_cast<std::size_t>(axis_from_front(axis, rank))];
}

py::list dimensions_of(const PartialShape& shape) {
    py::list dimensions;
    for (const Dimension& dimension : shape.dimensions()) {
        dimensions.append(dimension);
    }
    return dimensions;
}

/// What a value class of both has alike.
template <typename Value>
void define_value_methods(py::class_<Value>& value_class,
                          Value (*from_python)(const std::string&, py::handle),
                          const std::string& name) {
    value_class
        .def(
            "merge",
            [from_python](const Value& self, const py::object& other) {
                return merged(self, from_python("other", other));
            },
            py::arg("other"), "What is described by both; ValueError if nothing is.")
        .def(
            "compatible",
            [from_python](const Value& self, const py::object& other) {
                return self.compatible(from_python("other", other));
            },
            py::arg("other"), "Whether something is described by both.")
        .def(
            "to_python", [](const Value& self) { return to_python(self); },
            "The plain value that the constructor reads back.")
        .def_property_readonly("is_static", &Value::is_static)
        .def_property_readonly("is_dynamic", &Value::is_dynamic)
        .def("__eq__",
             [](const Value& self, const py::object& other) { return equals(self, other); })
        .def("__hash__", [](const Value& self) { return py::hash(to_python(self)); })
        .def("__str__", &Value::to_string)
        .def("__repr__",
             [name](const Value& self) {
                 return name + "(" + text_of(py::repr(to_python(self))) + ")";
             })
        .def("__reduce__", [](py::handle self) {
            return py::make_tuple(py::type::of(self), py::make_tuple(self.attr("to_python")()));
        });
    value_class.attr("__module__") = "normgraph";
}

void register_dimension(py::module_& module) {
    py::class_<Dimension> dimension =
        define_class<Dimension>(module, "Dimension", dimension_doc, py::is_final());
    dimension
        .def(py::init([](const py::object& value) {
                 return std::make_unique<Dimension>(dimension_from_python("dimension", value));
             }),
             py::arg("value") = py::none())
        .def_property_readonly("min_length", &Dimension::min_length)
        .def_property_readonly(
            "max_length",
            [](const Dimension& self) {
                return self.has_upper_bound() ? std::optional(self.max_length()) : std::nullopt;
            },
            "None if there is no upper bound.")
        .def_property_readonly("length", &Dimension::length,
                               "The one length; ValueError if the dimension is dynamic.")
        .def("__index__", &Dimension::length);
    define_value_methods(dimension, &dimension_from_python, "Dimension");
}

void register_partial_shape(py::module_& module) {
    py::class_<PartialShape> shape =
        define_class<PartialShape>(module, "PartialShape", partial_shape_doc, py::is_final());
    shape
        .def(py::init([](const py::object& dimensions) {
                 return std::make_unique<PartialShape>(
                     partial_shape_from_python("shape", dimensions));
             }),
             py::arg("dimensions"))
        .def_property_readonly("rank", &PartialShape::rank,
                               "The rank, as a Dimension: static or of any length.")
        .def("__len__", &PartialShape::size)
        .def("__getitem__", &dimension_at, py::arg("axis"))
        .def("__iter__", [](const PartialShape& self) { return py::iter(dimensions_of(self)); });
    define_value_methods(shape, &partial_shape_from_python, "PartialShape");
}

}  // namespace

void register_shape(py::module_& module) {
    register_dimension(module);
    register_partial_shape(module);
}

}  // namespace normgraph::binding
