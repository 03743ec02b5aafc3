#pragma once

#include <pybind11/pybind11.h>

namespace normgraph::binding {

/// Calls of kernels within calls of kernels, by way of the arguments' Python code. The constructor
/// raises RecursionError where they have no end.
class NestedCall {
public:
    NestedCall() {
        if (depth == most) {
            PyErr_SetString(PyExc_RecursionError,
                            "normgraph: kernels call kernels for their arguments without end");
            throw pybind11::error_already_set();
        }
        ++depth;
    }
    ~NestedCall() { --depth; }
    NestedCall(const NestedCall&) = delete;
    NestedCall& operator=(const NestedCall&) = delete;

private:
    static constexpr int most = 100;  // each takes some 16 KiB of the stack
    inline static thread_local int depth = 0;
};

}  // namespace normgraph::binding
