#pragma once

#include "normgraph/ir/function.hpp"

namespace normgraph::pass {

/// The same function in which no two nodes compute the same: nodes of one kind with equal
/// attributes that read the same values become one, the first of them.
Function merge_equal_nodes(const Function& function);

}  // namespace normgraph::pass
