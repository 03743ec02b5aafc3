#include "normgraph/op/batch_norm_training_backprop.hpp"

#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormTrainingBackprop::decompose(
    element::Type compute_type) {
    return BatchNormStages(*this, compute_type).backprop(source(Role::delta), statistics);
}

Deltas BatchNormTrainingBackprop::make_adjoints(const Deltas& deltas) {
    return backprop_adjoints(*this, deltas);
}

}  // namespace normgraph::op
