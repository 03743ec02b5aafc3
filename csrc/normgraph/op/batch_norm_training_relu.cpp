#include "normgraph/op/batch_norm_training_relu.hpp"

#include "normgraph/op/batch_norm_stages.hpp"
#include "normgraph/op/batch_norm_training_relu_backprop.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormTrainingRelu::decompose(element::Type compute_type) {
    return activated_stages(*this, compute_type);
}

Deltas BatchNormTrainingRelu::make_adjoints(const Deltas& deltas) {
    return activated_adjoints<BatchNormTrainingReluBackprop>(*this, deltas);
}

}  // namespace normgraph::op
