#pragma once

#include <span>

#include "normgraph/ir/node.hpp"

/// Reverse-mode differentiation: the chain rule over a graph, and the sum over all its paths.
namespace normgraph::op {

/// The gradients that arrive at the sources when these arrive at the roots: one delta per root,
/// nullopt for none, and so for the sources. What lies before a source is not looked at; a source
/// listed twice has its gradient in the first place alone. Throws what Node::generate_adjoints
/// throws, for nodes on a path from a source to a root.
Deltas propagate_adjoints(std::span<const Output> roots, const Deltas& deltas,
                          std::span<const Output> sources);

/// A node's adjoints by those of its decomposition, computed in f64.
Deltas adjoints_of_decomposition(Node& node, const Deltas& deltas);

}  // namespace normgraph::op
