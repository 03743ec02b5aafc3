#include "normgraph/op/batch_norm_node.hpp"

#include <optional>
#include <utility>

namespace normgraph::op {

BatchNormNode::BatchNormNode(std::vector<Output> inputs, double epsilon, std::int64_t channel_axis,
                             std::string friendly_name)
    : Node{std::move(inputs), std::move(friendly_name)},
      epsilon_{epsilon},
      channel_axis_{channel_axis} {}

void BatchNormNode::set_epsilon(double epsilon) {
    if (std::optional<Violation> violation = check_epsilon(epsilon)) {
        throw NodeValidationFailure(description(), friendly_name(), {*std::move(violation)});
    }
    epsilon_ = epsilon;
}

}  // namespace normgraph::op
