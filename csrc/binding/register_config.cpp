#include <pybind11/pybind11.h>

#include <cstdlib>
#include <string>

#include "binding/conversion.hpp"
#include "binding/python_function.hpp"
#include "binding/register.hpp"
#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/kernel/summation_order.hpp"
#include "normgraph/kernel/threads/num_threads.hpp"

namespace py = pybind11;

/// What was built and what was chosen.
namespace normgraph::binding {
namespace {

std::string compiler() {
#if defined(__clang__)
    return std::string("clang ") + __clang_version__;
#elif defined(__GNUC__)
    return std::string("gcc ") + __VERSION__;
#elif defined(_MSC_VER)
    return "msvc " + std::to_string(_MSC_FULL_VER);
#else
    return "unknown";
#endif
}

py::str text(std::string_view value) {
    return {value.data(), value.size()};
}

py::list implementations() {
    py::list names;
    for (const kernel::Implementation& implementation : kernel::built_implementations()) {
        if (implementation.runs_here()) {
            names.append(text(implementation.name));
        }
    }
    return names;
}

/// One text for each built implementation: whether it runs here, and what it needs.
py::list built_implementations() {
    py::list texts;
    for (const kernel::Implementation& implementation : kernel::built_implementations()) {
        texts.append(
            std::string(implementation.name) +
            (implementation.runs_here() ? " (runs here; needs " : " (does not run here; needs ") +
            std::string(implementation.requirement) + ")");
    }
    return texts;
}

std::string reason_of_choice() {
    const char* const forced = std::getenv("NORMGRAPH_ISA");
    return forced != nullptr && *forced != '\0' ? "NORMGRAPH_ISA names it"
                                                : "the first built one that runs here";
}

py::dict config() {
    py::dict facts;
    facts["version"] = NORMGRAPH_VERSION;
    facts["summation_order_version"] = kernel::summation_order_version;
    facts["implementations"] = implementations();
    facts["implementation"] = text(kernel::chosen_implementation().name);
    facts["implementation_chosen_because"] = reason_of_choice();
    facts["built_implementations"] = built_implementations();
    facts["num_threads"] = kernel::get_num_threads();
    facts["compiler"] = compiler();
    return facts;
}

void set_num_threads(py::handle num_threads) {
    if (num_threads.is_none()) {
        throw py::type_error("num_threads: expected an integer >= 1, got None");
    }
    kernel::set_num_threads(num_threads_from_python(num_threads));
}

}  // namespace

void register_config(py::module_& module) {
    module.attr("__version__") = NORMGRAPH_VERSION;
    define_function<Unpacked<&implementations>::call>(
        module, "implementations", {},
        "Names of the kernel implementations that run on this machine, best first. The "
        "environment variable NORMGRAPH_ISA, read at the first call of a kernel, forces one, and "
        "implementation= one for a single call. All give the same bits.");
    define_function<Unpacked<&kernel::get_num_threads>::call>(
        module, "get_num_threads", {},
        "How many threads a kernel uses unless its call says otherwise: what set_num_threads "
        "has set, else the environment variable NORMGRAPH_NUM_THREADS, else the number of "
        "processors this process may use (affinity and container limits count).");
    define_function<Unpacked<&set_num_threads>::call>(
        module, "set_num_threads", {{"num_threads"}},
        "Set how many threads a kernel uses unless its call says otherwise. Results do not depend "
        "on it. Calls that are running keep theirs.");
    define_function<Unpacked<&config>::call>(
        module, "config", {},
        "What was built and what was chosen, as a dict: version, summation_order_version "
        "(bits of results change only with it), implementations (names of those that run "
        "here), implementation (the one that is used), implementation_chosen_because, "
        "built_implementations (texts: what each needs), num_threads, compiler. Raises "
        "ValueError if NORMGRAPH_ISA names no implementation "
        "that runs here.");
}

}  // namespace normgraph::binding
