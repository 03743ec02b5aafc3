#include "binding/define_class.hpp"
#include "binding/op_class.hpp"
#include "binding/register.hpp"
#include "normgraph/op/batch_norm_family.hpp"
#include "normgraph/op/primitives.hpp"

namespace py = pybind11;

namespace normgraph::binding {
namespace {

template <typename... Ops>
struct FamilyClasses {
    static void define(py::module_& module) {
        (define_op_class<Ops, op::BatchNormNode>(module), ...);
    }
};

template <typename... Ops>
struct PrimitiveClasses {
    static void define(py::module_& module) { (define_op_class<Ops, Node>(module), ...); }
};

template <typename... Ops>
struct Names {
    static void append_to(py::list& names) {
        (names.append(py::str(Ops::class_name.data(), Ops::class_name.size())), ...);
    }
};

}  // namespace

void register_op(py::module_& module) {
    py::module_ op_module = module.def_submodule("op", "The op classes.");
    define_class<op::BatchNormNode, Node, std::shared_ptr<op::BatchNormNode>>(
        op_module, "BatchNormNode", "What the batch-normalization ops have in common.")
        .def_property_readonly("channel_axis", &op::BatchNormNode::channel_axis,
                               "As it was given to the constructor.")
        .attr("__module__") = "normgraph.op";
    op::BatchNormFamily<FamilyClasses>::define(op_module);
    op::Primitives<PrimitiveClasses>::define(op_module);
    py::list names;
    op::BatchNormFamily<Names>::append_to(names);
    op::Primitives<Names>::append_to(names);
    names.attr("sort")();
    op_module.attr("__all__") = names;
}

}  // namespace normgraph::binding
