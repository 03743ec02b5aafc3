#pragma once

#include <Python.h>

#include <new>

/// To be included before pybind11. Its dispatcher interns the names of parameters in each call that
/// has keyword arguments, and compares them without a look for null (pybind11 3.1,
/// cpp_function::keyword_index): where memory has run out, the process would crash.
namespace normgraph::binding {

inline PyObject* intern_or_throw(const char* text) {
    PyObject* const interned = PyUnicode_InternFromString(text);
    if (interned == nullptr) {
        PyErr_Clear();
        throw std::bad_alloc();
    }
    return interned;
}

}  // namespace normgraph::binding

#define PyUnicode_InternFromString ::normgraph::binding::intern_or_throw
