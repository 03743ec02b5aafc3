#include "binding/op_conversion.hpp"

#include "binding/conversion.hpp"
#include "binding/python_errors.hpp"

namespace py = pybind11;

namespace normgraph::binding {

const char* const infer_doc = R"(What the outputs would be, without a node.

Takes for each input a pair (element type, shape) and returns such a pair, (Type, PartialShape), for
each output. Raises what the constructor raises.
)";

py::tuple names_to_python(std::span<const op::Port> ports) {
    py::tuple names(ports.size());
    for (std::size_t index = 0; index < ports.size(); ++index) {
        names[index] = py::str(ports[index].name.data(), ports[index].name.size());
    }
    return names;
}

TensorType tensor_type_from_python(const std::string& argument, py::handle object) {
    if (!py::isinstance<py::tuple>(object) || PyTuple_GET_SIZE(object.ptr()) != 2) {
        throw py::type_error(argument + ": expected a tuple (element type, shape), got " +
                             describe(object));
    }
    const auto pair = py::reinterpret_borrow<py::tuple>(object);
    const element::Type element_type =
        element_type_from_python("the element type of " + argument, pair[0]);
    return {element_type, partial_shape_from_python("the shape of " + argument, pair[1])};
}

py::tuple to_python(const std::vector<TensorType>& types) {
    py::tuple pairs(types.size());
    for (std::size_t index = 0; index < types.size(); ++index) {
        pairs[index] = py::make_tuple(types[index].element_type, types[index].partial_shape);
    }
    return pairs;
}

std::vector<std::int64_t> axes_from_python(const std::string& argument, py::handle object) {
    std::vector<std::int64_t> axes;
    for (const py::handle item : sequence_from_python(argument, "a sequence of axes", object)) {
        axes.push_back(axis_from_python(argument + "[" + std::to_string(axes.size()) + "]", item));
    }
    return axes;
}

bool flag_from_python(const std::string& argument, py::handle object) {
    if (!py::isinstance<py::bool_>(object)) {
        throw py::type_error(argument + ": expected True or False, got " + describe(object));
    }
    return object.cast<bool>();
}

}  // namespace normgraph::binding
