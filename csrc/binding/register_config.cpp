#include <pybind11/pybind11.h>

#include <string>

#include "binding/register.hpp"
#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/kernel/summation_order.hpp"

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

py::dict config() {
    py::dict facts;
    facts["version"] = NORMGRAPH_VERSION;
    facts["summation_order_version"] = kernel::summation_order_version;
    facts["implementations"] = implementations();
    facts["implementation"] = text(kernel::chosen_implementation().name);
    facts["num_threads"] = 1;
    facts["compiler"] = compiler();
    return facts;
}

}  // namespace

void register_config(py::module_& module) {
    module.attr("__version__") = NORMGRAPH_VERSION;
    module.def(
        "implementations", &implementations,
        "Names of the kernel implementations that run on this machine, best first. The "
        "environment variable NORMGRAPH_ISA, read at the first call of a kernel, forces one. "
        "All give the same bits.");
    module.def("config", &config,
               "What was built and what was chosen, as a dict: version, summation_order_version "
               "(bits of results change only with it), implementations, implementation, "
               "num_threads, compiler. Raises ValueError if NORMGRAPH_ISA names no implementation "
               "that runs here.");
}

}  // namespace normgraph::binding
