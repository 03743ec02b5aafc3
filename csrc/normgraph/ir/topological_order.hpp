#pragma once

#include <memory>
#include <span>
#include <vector>

#include "normgraph/ir/node.hpp"

namespace normgraph {

/// Every node that the roots depend on, their own included: each once, after the nodes it reads,
/// otherwise in the order of the roots and of the inputs. Needs no stack for deep graphs.
///
/// Sources, if there are any, are not followed: neither their nodes nor what those read is listed
/// for their sake. A root that is a source is not followed either.
std::vector<std::shared_ptr<Node>> topological_order(std::span<const Output> roots,
                                                     std::span<const Output> sources = {});

}  // namespace normgraph
