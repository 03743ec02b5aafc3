#pragma once

#include <pybind11/pybind11.h>

#include <string>

/// Errors that Python code raises while it is called from here, and texts that no error stops.
namespace normgraph::binding {

/// For a handler that is about to say in its own words what went wrong: throws what only looks like
/// the argument's fault. KeyboardInterrupt, SystemExit and whatever else is no Exception is meant
/// for the program, and MemoryError and RecursionError say nothing of an argument.
void pass_on(pybind11::error_already_set& error);

/// Throws an error of this type, with `error` as its cause, unless `error` is to be passed on.
[[noreturn]] void raise_because_of(pybind11::error_already_set& error, PyObject* type,
                                   const std::string& message);

/// The attribute, null if there is none. Unlike py::hasattr, it lets through what the object raises
/// besides AttributeError.
pybind11::object find_attribute(pybind11::handle object, const char* name);

/// A str in UTF-8; surrogates, which UTF-8 has not, as escapes.
std::string text_of(pybind11::handle str);

/// "ndarray": without its module, and without calling Python code.
std::string type_name_of(pybind11::handle object);

/// "1.5 of type float", "None": what came, for an error message; of an object whose repr is long
/// or fails, only the type.
std::string describe(pybind11::handle object);

/// What the error says: "no memory to lend", or the name of its type where it says nothing.
std::string message_of(const pybind11::error_already_set& error);

}  // namespace normgraph::binding
