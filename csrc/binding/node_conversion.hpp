#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <vector>

#include "binding/graph_caster.hpp"
#include "normgraph/ir/function.hpp"
#include "normgraph/ir/node.hpp"
#include "normgraph/ir/parameter.hpp"

/// Between Python objects and nodes. `argument` begins every message: "gamma", "results[0]".
namespace normgraph::binding {

/// An Output, or a node with exactly one. TypeError for another object, ValueError for a node with
/// several outputs.
Output output_from_python(const std::string& argument, pybind11::handle object);

/// A sequence of what output_from_python takes.
std::vector<Output> outputs_from_python(const std::string& argument, pybind11::handle object);

/// A Function; TypeError for another object.
std::shared_ptr<Function> function_from_python(const std::string& argument,
                                               pybind11::handle object);

/// A sequence of parameters.
std::vector<std::shared_ptr<Parameter>> parameters_from_python(const std::string& argument,
                                                               pybind11::handle object);

/// The node's attributes by name, as its constructor takes them; a constant's elements as bytes.
pybind11::dict attributes_of(const Node& node);

/// A node that reads the copies of this node's inputs, for copy.deepcopy. `memo` is that of
/// copy.deepcopy and holds the copies of all nodes this one depends on.
pybind11::object copy_node(const std::shared_ptr<Node>& node, const pybind11::dict& memo);

/// The copy that `memo` holds of an output's node, and the same output of it.
Output copied_output(const Output& output, const pybind11::dict& memo);

}  // namespace normgraph::binding
