#pragma once

#include <span>
#include <vector>

#include "normgraph/ir/function.hpp"
#include "normgraph/runtime/backend.hpp"
#include "normgraph/runtime/plan.hpp"

namespace normgraph::runtime {

/// Whether kernels compute nodes of this kind, or it is a parameter.
bool has_kernel(const Node& node);

/// Throws std::invalid_argument, which names the node, if there is one that no kernel computes.
void check_nodes_have_kernels(const Function& function);

/// How to run the function, whose nodes have kernels, on arguments of these static types, one per
/// parameter. What the results do not depend on is not run. The function must outlive the plan,
/// which reads its constants.
///
/// Throws NodeValidationFailure, which names the node, where the types violate a constraint of an
/// op; std::invalid_argument, which names the node as well, for an empty batch where an op needs
/// elements, and for a tensor of 2^56 elements or more.
Plan make_plan(const Function& function, Backend backend,
               std::span<const TensorType> argument_types);

}  // namespace normgraph::runtime
