#include "binding/without_gil.hpp"

#include <algorithm>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace py = pybind11;

namespace normgraph::binding {
namespace {

bool is_main_thread() {
    const py::object main = py::module_::import("threading").attr("main_thread")();
    return main.attr("ident").cast<unsigned long>() == PyThread_get_thread_ident();
}

#if defined(__unix__) || defined(__APPLE__)
auto process() {
    return getpid();
}
#else
int process() {
    return 0;
}
#endif

}  // namespace

bool is_worth_the_lock(std::span<const std::int64_t> shape) {
    constexpr std::int64_t elements_worth_the_lock = 16384;
    std::int64_t count = 1;
    for (const std::int64_t length : shape) {
        // Both factors are small: no product overflows, and no division is needed.
        count *= std::clamp<std::int64_t>(length, 1, elements_worth_the_lock + 1);
        if (count > elements_worth_the_lock) {
            return true;
        }
    }
    return false;
}

kernel::Interruption::Answer answer_signals() {
    using enum kernel::Interruption::Answer;
    const auto process_before = process();
    if (PyErr_CheckSignals() != 0) {
        return stop;
    }
    if (process() != process_before) {
        PyErr_SetString(PyExc_RuntimeError,
                        "a signal handler has forked in the midst of a kernel, whose threads the "
                        "child does not have: it cannot be completed here");
        return stop;
    }
    try {
        return is_main_thread() ? go_on : never_ask_again;
    } catch (py::error_already_set& error) {
        error.restore();
        return stop;
    }
}

}  // namespace normgraph::binding
