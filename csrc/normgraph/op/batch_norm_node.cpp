#include "normgraph/op/batch_norm_node.hpp"

#include <optional>
#include <utility>

namespace normgraph::op {

void EpsilonNode::set_epsilon(double epsilon) {
    if (std::optional<Violation> violation = check_epsilon(epsilon)) {
        throw NodeValidationFailure(description(), friendly_name(), {*std::move(violation)});
    }
    epsilon_ = epsilon;
}

}  // namespace normgraph::op
