#include "normgraph/op/batch_norm_training_add_relu.hpp"

#include "normgraph/op/batch_norm_stages.hpp"
#include "normgraph/op/batch_norm_training_add_relu_backprop.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormTrainingAddRelu::decompose(element::Type compute_type) {
    return activated_stages(*this, compute_type);
}

Deltas BatchNormTrainingAddRelu::make_adjoints(const Deltas& deltas) {
    return activated_adjoints<BatchNormTrainingAddReluBackprop>(*this, deltas);
}

}  // namespace normgraph::op
