#include <pybind11/pybind11.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "binding/documentation.hpp"
#include "binding/kernel_function.hpp"
#include "binding/op_conversion.hpp"
#include "binding/register.hpp"
#include "normgraph/op/batch_norm_family.hpp"
#include "normgraph/runtime/kernel_call.hpp"

namespace py = pybind11;

/// The kernel functions of the Python surface.
namespace normgraph::binding {
namespace {

template <typename... Ops>
struct Count {
    static constexpr std::size_t value = sizeof...(Ops);
};
constexpr std::size_t kernel_count = op::BatchNormFamily<Count>::value;

/// The class of each call's results; null for a call with one output. Never deleted: the
/// interpreter may call until the process ends.
std::array<PyObject*, kernel_count> result_types{};

template <std::size_t index>
py::object call_kernel_at(Arguments arguments) {
    return call_kernel(runtime::kernel_calls()[index], result_types[index], arguments);
}

/// A named tuple class in the module, whose fields are the op's outputs.
py::object define_result_type(py::module_& module, const runtime::KernelCall& call) {
    const std::string class_name = result_class_name(call);
    py::object type = py::module_::import("collections")
                          .attr("namedtuple")(class_name, names_to_python(call.outputs),
                                              py::arg("module") = "normgraph");
    type.attr("__doc__") = "What " + std::string(call.name) +
                           "() returns; None where outputs= did not select an output.";
    module.attr(class_name.c_str()) = type;
    return type;
}

/// Nothing for an op that is no function on arrays.
template <std::size_t index>
void define_kernel(py::module_& module) {
    const runtime::KernelCall& call = runtime::kernel_calls()[index];
    if (call.name.empty()) {
        return;
    }
    if (call.outputs.size() > 1) {
        result_types[index] = define_result_type(module, call).release().ptr();
    }
    define_function<call_kernel_at<index>>(module, std::string(call.name), kernel_parameters(call),
                                           function_documentation(call));
}

}  // namespace

void register_kernel(py::module_& module) {
    [&]<std::size_t... index>(std::index_sequence<index...>) {
        (define_kernel<index>(module), ...);
    }(std::make_index_sequence<kernel_count>());
}

}  // namespace normgraph::binding
