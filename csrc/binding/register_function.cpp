#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "binding/conversion.hpp"
#include "binding/define_class.hpp"
#include "binding/node_conversion.hpp"
#include "binding/register.hpp"
#include "normgraph/ir/function.hpp"

namespace py = pybind11;

namespace normgraph::binding {

namespace {

constexpr const char* function_doc = R"(A graph with its ends named.

Function(results, parameters, name=None): results are outputs, or nodes with exactly one; parameters
are all that the results depend on, and may be more. Raises ValueError, which names it, for a
parameter that is used but not listed, or listed twice.

str() is a text of the whole graph, one line per node. Functions copy (same nodes), deep-copy and
pickle, at any depth.
)";

std::shared_ptr<Function> make_function(const py::object& results, const py::object& parameters,
                                        const py::object& name) {
    return std::make_shared<Function>(outputs_from_python("results", results),
                                      parameters_from_python("parameters", parameters),
                                      friendly_name_from_python(name));
}

/// The nodes come first and in topological order: pickle then meets every input before its reader,
/// so that it need not follow the graph into its depth.
py::tuple reduce_function(const Function& function) {
    const py::object rebuild = py::module_::import("normgraph._core").attr("_rebuild_function");
    return py::make_tuple(
        rebuild, py::make_tuple(py::tuple(py::cast(function.nodes())), py::cast(function.results()),
                                py::cast(function.parameters()), function.friendly_name()));
}

std::shared_ptr<Function> rebuild_function(const py::tuple& /*nodes*/, const py::object& results,
                                           const py::object& parameters, const py::object& name) {
    return make_function(results, parameters, name);
}

std::shared_ptr<Function> deep_copy_of_function(const Function& function, const py::dict& memo) {
    std::vector<std::shared_ptr<Parameter>> parameters;
    for (const std::shared_ptr<Node>& node : function.nodes()) {
        const py::object copy = copy_node(node, memo);
        if (parameters.size() < function.parameters().size()) {  // they come first
            parameters.push_back(parameters_from_python("memo", py::make_tuple(copy)).front());
        }
    }
    std::vector<Output> results;
    for (const Output& result : function.results()) {
        results.push_back(copied_output(result, memo));
    }
    return std::make_shared<Function>(std::move(results), std::move(parameters),
                                      function.friendly_name());
}

}  // namespace

void register_function(py::module_& module) {
    define_class<Function, std::shared_ptr<Function>>(module, "Function", function_doc,
                                                      py::is_final())
        .def(py::init(&make_function), py::arg("results"), py::arg("parameters"),
             py::arg("name") = py::none())
        .def_property_readonly("results", &Function::results, copied)
        .def_property_readonly("parameters", &Function::parameters)
        .def_property_readonly("nodes", &Function::nodes,
                               "The parameters as listed, then every node after those it reads.")
        .def_property(
            "friendly_name", &Function::friendly_name,
            [](Function& self, const py::object& name) {
                self.set_friendly_name(friendly_name_from_python(name));
            },
            "A name for people. Generated unless set; None resets it.")
        .def("validate_nodes_and_infer_types", &Function::validate_nodes_and_infer_types,
             "Infer all outputs anew from the parameters' declared types. Raises "
             "NodeValidationFailure for the first invalid node; no output has changed then.")
        .def("__str__", &Function::to_string)
        .def("__repr__",
             [](const Function& self) {
                 return "<Function '" + self.friendly_name() +
                        "': " + std::to_string(self.nodes().size()) + " nodes>";
             })
        .def("__reduce__", &reduce_function)
        .def("__deepcopy__", &deep_copy_of_function, py::arg("memo"))
        .attr("__module__") = "normgraph";
    module.def("_rebuild_function", &rebuild_function);
}

}  // namespace normgraph::binding
