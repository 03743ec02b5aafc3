#include "normgraph/op/batch_norm_training_add_relu_backprop.hpp"

#include <memory>

#include "normgraph/op/batch_norm_stages.hpp"
#include "normgraph/op/relu_selection.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormTrainingAddReluBackprop::decompose(
    element::Type compute_type) {
    const Output residual_delta = named(
        std::make_shared<ReluMaskSelect>(source(Role::delta), source(Role::mask), channel_axis()),
        "residual_delta");
    std::vector<Output> outputs =
        BatchNormStages(*this, compute_type).backprop(residual_delta, statistics);
    outputs.push_back(residual_delta);
    return outputs;
}

Deltas BatchNormTrainingAddReluBackprop::make_adjoints(const Deltas& deltas) {
    return backprop_adjoints(*this, deltas);
}

}  // namespace normgraph::op
