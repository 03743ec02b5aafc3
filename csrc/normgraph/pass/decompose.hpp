#pragma once

#include <functional>

#include "normgraph/ir/function.hpp"

namespace normgraph::pass {

/// The same function with every op that is not primitive replaced by its decomposition, which
/// computes in this type (dynamic: in that of the op's own channel vectors). It shares the
/// parameters, and the nodes that need no change, with the original.
///
/// Throws std::invalid_argument, naming the node, where an element type that is needed is not
/// known, and where a decomposition is made of further ones without end; and for a compute type
/// that is not real.
Function decompose(const Function& function, element::Type compute_type);

/// The same function with those ops alone replaced of which `is_replaced` is true and that have a
/// decomposition; ops in the decompositions included. Throws what `decompose` throws.
Function decompose_if(const Function& function, element::Type compute_type,
                      const std::function<bool(const Node& node)>& is_replaced);

}  // namespace normgraph::pass
