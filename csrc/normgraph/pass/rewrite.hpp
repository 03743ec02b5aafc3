#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "normgraph/ir/function.hpp"

namespace normgraph::pass {

/// What takes the place of a node: one value for each of its outputs; nullopt to leave it. It is
/// asked after the nodes that `original` reads have been replaced: `node` reads the new values, and
/// is the original itself where nothing has changed.
using Replacement =
    std::function<std::optional<std::vector<Output>>(const Node& original, Node& node)>;

/// The function with every node replaced that `replacement` has something for. Parameters are never
/// replaced, and shared with the original.
Function rewrite(const Function& function, const Replacement& replacement);

}  // namespace normgraph::pass
