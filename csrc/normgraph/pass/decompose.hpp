#pragma once

#include "normgraph/ir/function.hpp"

namespace normgraph::pass {

/// The same function with every op that is not primitive replaced by its decomposition, which
/// computes in this type (dynamic: in that of the op's own channel vectors). It shares the
/// parameters, and the nodes that need no change, with the original.
///
/// Throws std::invalid_argument, naming the node, where an element type that is needed is not
/// known, and for a compute type that is not real.
Function decompose(const Function& function, element::Type compute_type);

}  // namespace normgraph::pass
