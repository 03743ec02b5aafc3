#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "normgraph/ir/function.hpp"

namespace normgraph::pass {

/// What takes the place of a node: one value for each of its outputs; nullopt to leave it.
using Replacement = std::function<std::optional<std::vector<Output>>(Node& node)>;

/// The function with every node replaced that `replacement` has something for. It is asked after
/// the nodes that a node reads have been replaced: it sees a node that reads the new ones, and has
/// the old one's name. Parameters are never replaced, and shared with the original.
Function rewrite(const Function& function, const Replacement& replacement);

}  // namespace normgraph::pass
