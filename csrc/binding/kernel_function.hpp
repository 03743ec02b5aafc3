#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <string>

#include "binding/parameters.hpp"
#include "normgraph/runtime/kernel_call.hpp"

namespace normgraph::binding {

/// One op as a Python function of its input arrays, epsilon, channel_axis, out, outputs (where it
/// has several), num_threads and implementation: arguments in, kernel run, results out.
///
/// A call on small arrays takes less time than pybind11's dispatcher with as many arguments. So
/// CPython calls this directly; pybind11 is used for everything inside.
class KernelFunction {
public:
    using Entry = PyObject* (*)(PyObject* module, PyObject* const* given, Py_ssize_t count,
                                PyObject* keywords);

    /// Defines the function in the module. CPython will call `entry`, which calls this object, and
    /// keeps addresses in it: it must live as long as the process.
    ///
    /// Results are named tuples, whose class is defined in the module; where `result_class_name` is
    /// null, they are the one output itself.
    KernelFunction(pybind11::module_& module, const runtime::KernelCall& call,
                   const char* documentation, const char* result_class_name, Entry entry);
    KernelFunction(const KernelFunction&) = delete;
    KernelFunction& operator=(const KernelFunction&) = delete;

    /// What `entry` does: a new reference, or null with a Python error set.
    PyObject* operator()(PyObject* const* given, Py_ssize_t count, PyObject* keywords) const;

private:
    pybind11::object call_with(PyObject* const* given, std::size_t count, PyObject* keywords) const;

    const runtime::KernelCall& call_;
    Parameters parameters_;
    std::string documentation_;
    PyMethodDef definition_;
    pybind11::object result_type_;  // null without a class of results
};

/// Defines the op in the module as a function. One with several outputs needs the name of the class
/// of its results.
template <const runtime::KernelCall* call>
void define_kernel_function(pybind11::module_& module, const char* documentation,
                            const char* result_class_name = nullptr) {
    static const KernelFunction* function = nullptr;
    const auto entry = [](PyObject*, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
        return (*function)(given, count, keywords);
    };
    // Never deleted: the interpreter may call it until the process ends.
    function = new KernelFunction(module, *call, documentation, result_class_name, entry);
}

}  // namespace normgraph::binding
