#pragma once

#include <memory>
#include <vector>

#include "normgraph/ir/function.hpp"

namespace normgraph::pass {

/// The gradients of a function by reverse-mode differentiation: a function whose parameters are the
/// original ones followed by one delta per result (of its type, named after it), and whose results
/// are the gradients of the parameters `with_respect_to`, in this order: Σ over the results of
/// delta · ∂result/∂parameter. One that no result depends on has the gradient 0.
///
/// Parameters and results have distinct names: where one is taken, a delta or a node that makes a
/// gradient has a number after its name, "normalized_delta#2". Nodes of the original function, and
/// a gradient that is a delta itself, keep their names.
///
/// Throws std::invalid_argument, naming what is meant: for no parameter at all, one that is not
/// the function's or is listed twice, a parameter or a result that is not real, a gradient of 0 for
/// a parameter whose element type is not known, and where an op on the way has no derivative.
Function differentiate(const Function& function,
                       const std::vector<std::shared_ptr<Parameter>>& with_respect_to);

}  // namespace normgraph::pass
