#include <pybind11/pybind11.h>

#include <string>

#include "binding/python_function.hpp"
#include "binding/register.hpp"
#include "binding/torch/operators.hpp"
#include "normgraph/runtime/kernel_call.hpp"

namespace py = pybind11;

/// What normgraph.torch needs; torch itself is not needed to build it.
namespace normgraph::binding {
namespace {

/// "data", "mask", "statistic" or "affine".
const char* kind_of(const op::Port& port) {
    return op::is_data(port.role)        ? "data"
           : port.role == op::Role::mask ? "mask"
           : op::is_statistic(port.role) ? "statistic"
                                         : "affine";
}

/// (name, schema, [(output, kind)]) of each.
py::list torch_operators() {
    py::list defined;
    for (const runtime::KernelCall& call : runtime::kernel_calls()) {
        if (call.name.empty()) {
            continue;
        }
        py::list outputs;
        for (const op::Port& port : call.outputs) {
            outputs.append(py::make_tuple(std::string(port.name), kind_of(port)));
        }
        defined.append(
            py::make_tuple(std::string(call.name), torch::schema_of(call), py::tuple(outputs)));
    }
    return defined;
}

py::str torch_running_statistics() {
    return torch::running_statistics_schema();
}

void register_torch_kernels(py::handle path) {
    torch::register_kernels(path.cast<std::string>());
}

}  // namespace

void register_torch(py::module_& module) {
    define_function<Unpacked<&torch_operators>::call>(
        module, "torch_operators", {},
        "The functions on arrays as operators of torch: a list of (name, schema, outputs), where "
        "outputs are pairs (name, kind), the kind 'data', 'mask', 'statistic' or 'affine'.");
    define_function<Unpacked<&torch_running_statistics>::call>(
        module, "torch_running_statistics", {},
        "The schema of the operator that updates running statistics.");
    define_function<Unpacked<&register_torch_kernels>::call>(
        module, "register_torch_kernels", {{"path"}},
        "Register the kernels of these operators, of which torch knows the schemas, with the "
        "libtorch_cpu of this path, which is loaded. Raises RuntimeError if it is not, or is older "
        "than 2.11.");
}

}  // namespace normgraph::binding
