#include "normgraph/op/batch_norm_training_relu_backprop.hpp"

#include <memory>

#include "normgraph/op/batch_norm_stages.hpp"
#include "normgraph/op/relu_selection.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormTrainingReluBackprop::decompose(
    element::Type compute_type) {
    const Output normalized_delta = named(
        std::make_shared<ReluMaskSelect>(source(Role::delta), source(Role::mask), channel_axis()),
        "normed_delta");
    return BatchNormStages(*this, compute_type).backprop(normalized_delta, statistics);
}

Deltas BatchNormTrainingReluBackprop::make_adjoints(const Deltas& deltas) {
    return backprop_adjoints(*this, deltas);
}

}  // namespace normgraph::op
