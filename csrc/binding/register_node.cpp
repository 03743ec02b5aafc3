#include <pybind11/stl.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>

#include "binding/conversion.hpp"
#include "binding/define_class.hpp"
#include "binding/instances.hpp"
#include "binding/node_conversion.hpp"
#include "binding/output_operators.hpp"
#include "binding/python_errors.hpp"
#include "binding/register.hpp"
#include "normgraph/ir/node.hpp"
#include "normgraph/ir/parameter.hpp"
#include "normgraph/ir/topological_order.hpp"
#include "normgraph/op/batch_norm_node.hpp"

namespace py = pybind11;

namespace normgraph::binding {

namespace {

constexpr const char* failure_doc = R"(A node is not valid.

The message lists every violated constraint, one line each, with its label, the inputs it speaks of,
what was expected and what came. `labels` is the tuple of the labels: ('C4', 'C9').
)";

constexpr const char* node_doc =
    R"(A vertex of the graph: its outputs follow from its inputs and attributes.

Inputs are fixed at construction. A node is valid once it is constructed. Nodes copy (same inputs),
deep-copy (with all they depend on) and pickle; a copy keeps the friendly name. To pickle deep
graphs, pickle a Function.

A node unpacks into its outputs: normalized, mean, variance = node; node[key] is node.output(key). A
node with exactly one output is taken where an Output is, and has its operators.
)";

constexpr const char* output_doc =
    R"(One output of a node: Output(node, index), or node.output(index or name).

Outputs are equal if they are the same output of the same node. + - * / and unary minus make nodes of
op.Add and so on, and return their outputs. A number on the other side becomes a Constant of the
output's element type, rounded to it, and is repeated by op.Broadcast; nothing else is: two outputs
have one type and one shape.
)";

constexpr const char* input_doc = R"(One input of a node: node.input(index or name).)";

constexpr const char* parameter_doc = R"(A value that is given when the graph runs.

Parameter(element_type, shape, name=None): a Type, name or numpy dtype; a PartialShape or its plain
form, as in Parameter('f32', [None, 64, (1, 8)], name='x').

element_type and partial_shape may be set anew: a declaration, which the output, and all nodes that
depend on it, have after Function.validate_nodes_and_infer_types().
)";

/// Sets the Python error; MemoryError where there is no memory for it.
void raise(const py::object& type, const NodeValidationFailure& failure) {
    try {
        py::list labels;
        for (const Violation& violation : failure.violations()) {
            labels.append(violation.label);
        }
        const py::object error = type(failure.what());
        error.attr("labels") = py::tuple(labels);
        PyErr_SetObject(type.ptr(), error.ptr());
    } catch (py::error_already_set& error) {
        error.restore();
    }
}

void register_validation_failure(py::module_& module) {
    PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<py::object> storage;
    storage.call_once_and_store_result([] {
        py::dict members;
        members["labels"] = py::tuple();
        PyObject* const type = PyErr_NewExceptionWithDoc(
            "normgraph.NodeValidationFailure", failure_doc, PyExc_ValueError, members.ptr());
        if (type == nullptr) {
            throw py::error_already_set();
        }
        return py::reinterpret_steal<py::object>(type);
    });
    module.attr("NodeValidationFailure") = storage.get_stored();
    py::register_local_exception_translator([](std::exception_ptr thrown) {
        try {
            if (thrown) {
                std::rethrow_exception(thrown);
            }
        } catch (const NodeValidationFailure& failure) {
            raise(storage.get_stored(), failure);
        }
    });
}

/// An index from 0; IndexError for any other integer.
std::size_t port_index(const std::string& argument, const std::string& expected,
                       py::handle object) {
    const py::int_ index = index_from_python(argument, expected, object);
    const std::size_t value = PyLong_AsSize_t(index.ptr());
    if (PyErr_Occurred() != nullptr) {
        PyErr_Clear();
        throw py::index_error(argument + ": expected an index from 0, got " + describe(index));
    }
    return value;
}

/// node.input(key) and node.output(key): by name, or by an index that is not negative.
template <typename Port>
Port port(Node& node, const py::object& key, const std::string& kind,
          Port (Node::*by_name)(std::string_view), Port (Node::*by_index)(std::size_t)) {
    if (py::isinstance<py::str>(key)) {
        return (node.*by_name)(text_of(key));
    }
    return (node.*by_index)(port_index("key", "the name or the index of an " + kind, key));
}

py::object deep_copy_of_node(const std::shared_ptr<Node>& node, const py::dict& memo) {
    for (const std::shared_ptr<Node>& ancestor : topological_order(node->outputs())) {
        copy_node(ancestor, memo);
    }
    return copy_node(node, memo);
}

/// What pickle calls to make the node again: the constructor checks everything anew.
py::object rebuild_node(const std::string& type_name, const py::tuple& inputs,
                        const py::dict& keywords, const std::string& friendly_name) {
    const py::module_ core = py::module_::import("normgraph._core");
    const py::object constructor =
        type_name == "Constant"    ? core.attr("Constant").attr("from_bytes")
        : type_name == "Parameter" ? py::object(core.attr("Parameter"))
                                   : py::object(core.attr("op").attr(type_name.c_str()));
    return constructor(*inputs, **keywords, py::arg("name") = friendly_name);
}

/// An optional input is given by its name, like the attributes.
py::tuple reduce_node(const std::shared_ptr<Node>& node) {
    const py::object rebuild = py::module_::import("normgraph._core").attr("_rebuild_node");
    std::vector<Output> inputs = node->input_values();
    const py::dict keywords = attributes_of(*node);
    const auto* const of_family = dynamic_cast<const op::BatchNormNode*>(node.get());
    if (of_family != nullptr && of_family->where()) {
        keywords[py::str(node->input_names().back().data())] = inputs.back();
        inputs.pop_back();
    }
    return py::make_tuple(rebuild, py::make_tuple(node->description(), py::tuple(py::cast(inputs)),
                                                  keywords, node->friendly_name()));
}

/// What inputs and outputs have alike: equal if they are the same port of the same node.
template <typename Port>
py::class_<Port> define_port(py::module_& module, const char* name, const char* doc) {
    py::class_<Port> port_class = define_class<Port>(module, name, doc, py::is_final());
    port_class.def_property_readonly("node", &Port::node)
        .def_property_readonly("index", &Port::index)
        .def_property_readonly("name", &Port::name)
        .def_property_readonly("element_type", &Port::element_type, copied)
        .def_property_readonly("partial_shape", &Port::partial_shape, copied)
        .def(
            "__eq__", [](const Port& left, const Port& right) { return left == right; },
            py::is_operator())
        .def("__hash__",
             [](const Port& self) {
                 // Of the node itself: the Python object that stands for it may come and go.
                 const auto address = reinterpret_cast<std::uintptr_t>(self.node().get());
                 return py::hash(py::make_tuple(address, self.index()));
             })
        .def("__repr__", [kind = std::string(name)](const Port& self) {
            return "<" + kind + " " + self.node()->friendly_name() + "." +
                   std::string(self.name()) + ": " +
                   TensorType{self.element_type(), self.partial_shape()}.to_string() + ">";
        });
    port_class.attr("__module__") = "normgraph";
    return port_class;
}

void register_output(py::module_& module) {
    define_port<Output>(module, "Output", output_doc)
        .def(py::init([](const py::object& node, const py::object& index) {
                 if (!is_instance<Node>(node)) {
                     throw py::type_error("node: expected a Node, got " + describe(node));
                 }
                 return std::make_unique<Output>(
                     node.cast<std::shared_ptr<Node>>(),
                     port_index("index", "the index of an output", index));
             }),
             py::arg("node"), py::arg("index"))
        .def("__reduce__", [](const Output& self) {
            return py::make_tuple(py::type::of<Output>(),
                                  py::make_tuple(self.node(), self.index()));
        });
    define_operators(py::type::of<Output>());
}

void register_input(py::module_& module) {
    define_port<Input>(module, "Input", input_doc)
        .def_property_readonly("source", &Input::source, copied,
                               "The Output that this input reads.")
        .def("__reduce__", [](const Input& self) {
            return py::make_tuple(py::cast(self.node()).attr("input"),
                                  py::make_tuple(self.index()));
        });
}

void register_node_class(py::module_& module) {
    auto node = define_class<Node, std::shared_ptr<Node>>(module, "Node", node_doc);
    register_output(module);
    register_input(module);
    node.def_property_readonly("type_name", &Node::type_name,
                               "The class name, 'BatchNormTraining'.")
        .def("description", &Node::description, "The kind of node, without spaces: its type name.")
        .def_property(
            "friendly_name", &Node::friendly_name,
            [](Node& self, const py::object& name) {
                self.set_friendly_name(friendly_name_from_python(name));
            },
            "A name for people. Generated, unique in the process, unless set; None resets it.")
        .def_property_readonly("attributes", &attributes_of,
                               "The attributes by name, as the constructor takes them.")
        .def_property_readonly("inputs", &Node::inputs, copied)
        .def_property_readonly("outputs", &Node::outputs, copied)
        .def(
            "input",
            [](Node& self, const py::object& key) {
                return port<Input>(self, key, "input", &Node::input, &Node::input);
            },
            py::arg("key"),
            "By name or index. ValueError for another name, IndexError for an index.")
        .def(
            "output",
            [](Node& self, const py::object& key) {
                return port<Output>(self, key, "output", &Node::output, &Node::output);
            },
            py::arg("key"),
            "By name or index. ValueError for another name, IndexError for an index.")
        .def("__len__", [](const Node& self) { return self.output_names().size(); })
        .def("__iter__", [](Node& self) { return py::iter(py::cast(self.outputs())); })
        .def("__getitem__",
             [](Node& self, const py::object& key) {
                 return port<Output>(self, key, "output", &Node::output, &Node::output);
             })
        .def("validate_and_infer_types", &Node::validate_and_infer_types,
             "Infer the outputs anew. Raises NodeValidationFailure that lists every violated "
             "constraint, and leaves the node as it was then.")
        .def(
            "clone_with_new_inputs",
            [](const Node& self, const py::object& inputs, const py::object& name) {
                return self.clone_with_new_inputs(outputs_from_python("inputs", inputs),
                                                  friendly_name_from_python(name));
            },
            py::arg("inputs"), py::arg("name") = py::none(),
            "A new node with the same attributes that reads these nodes or outputs.")
        .def("__repr__", &Node::to_string)
        .def("__reduce__", &reduce_node)
        .def("__deepcopy__", &deep_copy_of_node, py::arg("memo"));
    node.attr("__module__") = "normgraph";
    define_operators(node);
    module.def("_rebuild_node", &rebuild_node);
}

void register_parameter(py::module_& module) {
    define_class<Parameter, Node, std::shared_ptr<Parameter>>(module, "Parameter", parameter_doc,
                                                              py::is_final())
        .def(py::init([](const py::object& element_type, const py::object& shape,
                         const py::object& name) {
                 const element::Type type = element_type_from_python("element_type", element_type);
                 return std::make_shared<Parameter>(type, partial_shape_from_python("shape", shape),
                                                    friendly_name_from_python(name));
             }),
             py::arg("element_type"), py::arg("shape"), py::arg("name") = py::none())
        .def_property("element_type", &Parameter::element_type,
                      [](Parameter& self, const py::object& type) {
                          self.set_element_type(element_type_from_python("element_type", type));
                      })
        .def_property("partial_shape", &Parameter::partial_shape,
                      [](Parameter& self, const py::object& shape) {
                          self.set_partial_shape(partial_shape_from_python("partial_shape", shape));
                      })
        .def("__repr__",
             [](const Parameter& self) {
                 return "Parameter '" + self.friendly_name() + "' -> (" +
                        self.output_type(0).to_string() + ")";
             })
        .attr("__module__") = "normgraph";
}

}  // namespace

void register_node(py::module_& module) {
    register_validation_failure(module);
    register_node_class(module);
    register_parameter(module);
}

}  // namespace normgraph::binding
