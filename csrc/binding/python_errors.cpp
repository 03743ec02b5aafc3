#include "binding/python_errors.hpp"

#include <cstddef>

namespace py = pybind11;

namespace normgraph::binding {
namespace {

/// The str that `make` returns; null where it raises an Exception.
template <typename Make>
py::object without_exceptions(const Make& make) {
    try {
        return make();
    } catch (py::error_already_set& error) {
        pass_on(error);
        return {};
    }
}

}  // namespace

void pass_on(py::error_already_set& error) {
    if (!error.matches(PyExc_Exception) || error.matches(PyExc_MemoryError) ||
        error.matches(PyExc_RecursionError)) {
        throw error;
    }
}

void raise_because_of(py::error_already_set& error, PyObject* type, const std::string& message) {
    pass_on(error);
    py::raise_from(error, type, message.c_str());
    throw py::error_already_set();
}

py::object find_attribute(py::handle object, const char* name) {
    PyObject* const attribute = PyObject_GetAttrString(object.ptr(), name);
    if (attribute == nullptr) {
        py::error_already_set error;
        if (!error.matches(PyExc_AttributeError)) {
            throw error;
        }
    }
    return py::reinterpret_steal<py::object>(attribute);
}

std::string text_of(py::handle str) {
    const auto bytes = py::reinterpret_steal<py::bytes>(
        PyUnicode_AsEncodedString(str.ptr(), "utf-8", "backslashreplace"));
    if (!bytes) {
        throw py::error_already_set();
    }
    return bytes;
}

std::string type_name_of(py::handle object) {
    const std::string name = Py_TYPE(object.ptr())->tp_name;
    return name.substr(name.rfind('.') + 1);
}

std::string describe(py::handle object) {
    if (object.is_none()) {
        return "None";
    }
    constexpr std::size_t longest = 60;
    const py::object repr = without_exceptions([&] { return py::repr(object); });
    std::string text = repr ? text_of(repr) : "";
    if (text.empty() || text.size() > longest) {
        text = "an object";
    }
    return text + " of type " + type_name_of(object);
}

std::string message_of(const py::error_already_set& error) {
    const py::object str = without_exceptions([&] { return py::str(error.value()); });
    const std::string text = str ? text_of(str) : "";
    return text.empty() ? type_name_of(error.value()) : text;
}

}  // namespace normgraph::binding
