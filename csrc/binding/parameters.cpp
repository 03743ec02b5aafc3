#include "binding/parameters.hpp"

#include <algorithm>
#include <utility>

#include "binding/checked_interning.hpp"
#include "binding/python_errors.hpp"
#include "normgraph/ir/text.hpp"

namespace py = pybind11;

namespace normgraph::binding {
namespace {

std::string signature_of(const std::string& function_name,
                         std::span<const PythonParameter> parameters) {
    std::vector<std::string> texts;
    for (const PythonParameter& parameter : parameters) {
        const bool is_required = parameter.default_text.empty();
        texts.push_back(parameter.name + (is_required ? "" : "=" + parameter.default_text));
    }
    return function_name + "(" + join(texts, ", ") + ")";
}

/// Python interns the names that stand in a program, so equal ones are nearly always one object.
py::str interned(const std::string& name) {
    return py::reinterpret_steal<py::str>(intern_or_throw(name.c_str()));
}

}  // namespace

Parameters::Parameters(std::string function_name, std::vector<PythonParameter> parameters)
    : function_name_(std::move(function_name)),
      parameters_(std::move(parameters)),
      signature_(signature_of(function_name_, parameters_)) {
    for (const PythonParameter& parameter : parameters_) {
        keywords_.push_back(interned(parameter.name));
        required_count_ += parameter.default_text.empty() ? 1 : 0;
    }
}

void Parameters::match(PyObject* const* given, std::size_t positional_count, PyObject* keywords,
                       std::span<py::handle> arguments) const {
    if (positional_count > count()) {
        refuse(format_count(positional_count, "positional argument"));
    }
    std::copy_n(given, positional_count, arguments.begin());
    std::fill(arguments.begin() + static_cast<std::ptrdiff_t>(positional_count), arguments.end(),
              py::handle());
    const Py_ssize_t keyword_count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
    for (Py_ssize_t position = 0; position < keyword_count; ++position) {
        const py::handle keyword = PyTuple_GET_ITEM(keywords, position);
        const std::size_t index = index_of(keyword);
        if (index == count()) {
            refuse("an argument named " + text_of(py::repr(keyword)));
        }
        if (arguments[index]) {
            refuse("'" + parameters_[index].name + "' twice");
        }
        arguments[index] = given[positional_count + static_cast<std::size_t>(position)];
    }
    for (std::size_t index = positional_count; index < required_count_; ++index) {
        if (!arguments[index]) {
            refuse("no '" + parameters_[index].name + "'");
        }
    }
}

std::vector<py::object> Parameters::match(py::handle positional, py::handle keywords,
                                          std::span<py::handle> arguments) const {
    std::vector<py::object> held;
    for (const py::handle value : py::reinterpret_borrow<py::tuple>(positional)) {
        held.push_back(py::reinterpret_borrow<py::object>(value));
    }
    const std::size_t positional_count = held.size();
    py::tuple names(0);
    if (keywords) {
        const auto dict = py::reinterpret_borrow<py::dict>(keywords);
        names = py::tuple(dict.size());
        for (const auto& [name, value] : dict) {
            names[held.size() - positional_count] = name;
            held.push_back(py::reinterpret_borrow<py::object>(value));
        }
    }
    std::vector<PyObject*> given;
    for (const py::object& argument : held) {
        given.push_back(argument.ptr());
    }
    match(given.data(), positional_count, names.ptr(), arguments);
    return held;
}

/// `count()` if there is none of this name.
std::size_t Parameters::index_of(py::handle keyword) const {
    const auto same_object =
        std::ranges::find_if(keywords_, [&](const py::str& name) { return name.is(keyword); });
    if (same_object != keywords_.end()) {
        return static_cast<std::size_t>(same_object - keywords_.begin());
    }
    const auto same_text =
        std::ranges::find_if(keywords_, [&](const py::str& name) { return name.equal(keyword); });
    return static_cast<std::size_t>(same_text - keywords_.begin());
}

void Parameters::refuse(const std::string& came) const {
    throw py::type_error(function_name_ + "(): expected " + signature_ + ", got " + came);
}

std::string with_text_signature(const Parameters& parameters, const std::string& documentation) {
    return parameters.signature() + "\n--\n\n" + documentation;
}

}  // namespace normgraph::binding
