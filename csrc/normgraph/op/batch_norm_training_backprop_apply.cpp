#include "normgraph/op/batch_norm_training_backprop_apply.hpp"

#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormTrainingBackpropApply::decompose(
    element::Type compute_type) {
    const BatchNormStages stages(*this, compute_type);
    return stages.backprop(
        source(Role::delta), statistics,
        BackpropSumStages{stages.input(Role::sum_of_deltas), stages.input(Role::sum_of_products)});
}

Deltas BatchNormTrainingBackpropApply::make_adjoints(const Deltas& deltas) {
    return backprop_adjoints(*this, deltas);
}

}  // namespace normgraph::op
