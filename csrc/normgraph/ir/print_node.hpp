#pragma once

#include <functional>
#include <string>

#include "normgraph/ir/node.hpp"

namespace normgraph {

/// How a text names a node.
using NodeNaming = std::function<std::string(const Node&)>;

/// The node's name, and the output's where the node has several: "x", "bn.gamma_delta".
std::string print_output(const Output& output, const NodeNaming& name_of);

/// "BatchNormTraining(x, gamma, beta) -> (f32{?,64}, f32{64}, f32{64})"; the remark stands before
/// the arrow.
std::string print_node(const Node& node, const NodeNaming& name_of, const std::string& remark);

}  // namespace normgraph
