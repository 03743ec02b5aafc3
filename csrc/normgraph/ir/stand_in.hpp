#pragma once

#include <string>
#include <vector>

#include "normgraph/ir/node.hpp"

namespace normgraph {

/// Checks that these values can stand for the node's outputs: one for each, whose type agrees with
/// the output's as far as both are known. Throws std::invalid_argument that begins with `what` and
/// the node: "the replacement of Relu 'y': expected 1 value, got 2".
void check_stand_in(const std::string& what, const Node& node, const std::vector<Output>& values);

}  // namespace normgraph
