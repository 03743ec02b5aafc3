#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "binding/parameters.hpp"

/// Functions of Python that CPython calls without pybind11's dispatcher in between, which takes
/// longer than a kernel on small arrays. `inspect.signature` finds their signatures, and wrong
/// arguments get the one error of Parameters. pybind11 is used for everything inside.
namespace normgraph::binding {

/// The most parameters that a function has: the arguments of a call have their place on its stack.
inline constexpr std::size_t most_parameters = 16;

/// What a function is called with, by parameter; null where an argument is left out.
using Arguments = std::span<const pybind11::handle>;
using Implementation = pybind11::object (*)(Arguments);

/// Turns the exception that is being handled into Python's error.
void set_python_error();

/// What `function` returns, where CPython calls; `failed`, with Python's error set, if it throws.
template <typename Function, typename Result>
Result call_from_python(const Function& function, Result failed) {
    try {
        return function();
    } catch (...) {
        set_python_error();
    }
    return failed;
}

class PythonFunction {
public:
    using Entry = PyObject* (*)(PyObject* self, PyObject* const* given, Py_ssize_t count,
                                PyObject* keywords);

    /// Throws std::length_error for more than `most_parameters` parameters.
    PythonFunction(std::string name, std::vector<PythonParameter> parameters,
                   const std::string& documentation, Entry entry);
    PythonFunction(const PythonFunction&) = delete;
    PythonFunction& operator=(const PythonFunction&) = delete;

    /// Defines it in a module, or in a class as a static method. CPython keeps addresses in this
    /// object, which must live as long as the process.
    void define_in(pybind11::handle scope);

    PyObject* call(Implementation implementation, PyObject* const* given, Py_ssize_t count,
                   PyObject* keywords) const {
        return call_from_python(
            [&] {
                std::array<pybind11::handle, most_parameters> arguments;
                const auto used = std::span(arguments).first(parameters_.count());
                parameters_.match(given, static_cast<std::size_t>(count), keywords, used);
                return implementation(used).release().ptr();
            },
            static_cast<PyObject*>(nullptr));
    }

private:
    Parameters parameters_;
    std::string documentation_;
    PyMethodDef definition_;
};

/// Defines a function in a module, or a static method in a class. There is one definition for each
/// implementation.
template <Implementation implementation>
void define_function(pybind11::handle scope, std::string name,
                     std::vector<PythonParameter> parameters, const std::string& documentation) {
    static const PythonFunction* defined = nullptr;
    const auto entry = [](PyObject*, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
        return defined->call(implementation, given, count, keywords);
    };
    // Never deleted: the interpreter may call it until the process ends.
    auto* const function =
        new PythonFunction(std::move(name), std::move(parameters), documentation, entry);
    defined = function;
    function->define_in(scope);
}

/// A function of one handle per parameter (null where the argument is left out) as an
/// Implementation: `Unpacked<&compile>::call`.
template <auto function>
struct Unpacked;

template <typename Result, std::same_as<pybind11::handle>... Handles,
          Result (*function)(Handles...)>
struct Unpacked<function> {
    static pybind11::object call(Arguments arguments) {
        return [&]<std::size_t... index>(std::index_sequence<index...>) -> pybind11::object {
            if constexpr (std::is_void_v<Result>) {
                function(arguments[index]...);
                return pybind11::none();
            } else if constexpr (std::derived_from<Result, pybind11::object>) {
                return function(arguments[index]...);
            } else {
                return pybind11::cast(function(arguments[index]...));
            }
        }(std::index_sequence_for<Handles...>());
    }
};

}  // namespace normgraph::binding
