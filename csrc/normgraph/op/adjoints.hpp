#pragma once

#include <span>

#include "normgraph/ir/node.hpp"

/// Reverse-mode differentiation: the chain rule over a graph, and the sum over all its paths.
namespace normgraph::op {

/// The gradients that arrive at the sources when these arrive at the roots: one delta per root,
/// nullopt for none, and so for the sources. What lies before a source is not looked at; a source
/// listed twice has its gradient in the first place alone. A node on a path from a source to a root
/// that says nothing of a derivative has that of its decomposition. Throws std::invalid_argument,
/// naming the node, where there is none either, and what Node::find_adjoints throws.
Deltas propagate_adjoints(std::span<const Output> roots, const Deltas& deltas,
                          std::span<const Output> sources);

/// A node's adjoints by those of its decomposition, computed in f64. Throws std::invalid_argument,
/// naming the node, if it has no decomposition, or one that is made of the node's own kind without
/// end.
Deltas adjoints_of_decomposition(Node& node, const Deltas& deltas);

}  // namespace normgraph::op
