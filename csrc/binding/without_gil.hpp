#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <exception>
#include <thread>

namespace normgraph::binding {

/// A daemon thread may still compute when the interpreter ends. Until CPython 3.13 it is then ended
/// here, by an unwinding of its stack that must not reach pybind11's handlers or a destructor: the
/// process would be aborted. So it sleeps for good, as CPython itself does from 3.14 on.
inline void take_gil_back(PyThreadState* state) {
    try {
        PyEval_RestoreThread(state);
    } catch (...) {
        for (;;) {
            std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }
}

/// Calls `function`, which touches no Python object, while other Python threads run.
template <typename Function>
void without_gil(const Function& function) {
    PyThreadState* const state = PyEval_SaveThread();
    std::exception_ptr failure;
    try {
        function();
    } catch (...) {
        failure = std::current_exception();
    }
    take_gil_back(state);
    if (failure) {
        std::rethrow_exception(failure);
    }
}

}  // namespace normgraph::binding
