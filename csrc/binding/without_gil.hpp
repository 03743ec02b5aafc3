#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <span>
#include <thread>

#include "normgraph/kernel/threads/interruption.hpp"

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

/// Runs the handlers of signals that have come. `stop` if one has raised an error, as that of
/// Ctrl-C does: it is set then. `never_ask_again` in threads other than the main one, where none
/// runs.
kernel::Interruption::Answer answer_signals();

/// Whether a kernel on an array of this shape takes long enough to let other Python threads run.
///
/// Letting go of the interpreter's lock, and above all waiting to have it back, costs a small call
/// more than its kernel. A call of fewer elements is over in some tens of microseconds, while
/// Python lets a thread keep the lock for 5 ms when others wait. Lengths of 0 count as 1: of an
/// empty batch there are still channels to write.
bool is_worth_the_lock(std::span<const std::int64_t> shape);

/// Calls `function`, which touches no Python object, while other Python threads run. Where it calls
/// kernels, they answer signals; raises what a handler has raised.
template <typename Function>
void without_gil(const Function& function) {
    PyThreadState* state = PyEval_SaveThread();
    const auto question = [&] {
        take_gil_back(state);
        const kernel::Interruption::Answer answer = answer_signals();
        state = PyEval_SaveThread();
        return answer;
    };
    std::exception_ptr failure;
    try {
        const kernel::Interruption interruption(question);
        function();
    } catch (...) {
        failure = std::current_exception();
    }
    take_gil_back(state);
    if (PyErr_Occurred() != nullptr) {
        throw pybind11::error_already_set();
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
}

}  // namespace normgraph::binding
