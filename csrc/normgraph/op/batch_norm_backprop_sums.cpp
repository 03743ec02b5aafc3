#include "normgraph/op/batch_norm_backprop_sums.hpp"

#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormBackpropSums::decompose(element::Type compute_type) {
    const BatchNormStages stages(*this, compute_type);
    const Output& delta = stages.input(Role::delta);
    const Output centered = stages.centered(stages.reached(delta), stages.input(Role::mean));
    const BackpropSumStages sums = stages.sums(delta, centered);
    return std::vector{convert(sums.beta_delta, element::f64),
                       convert(sums.gmul_delta, element::f64)};
}

Deltas BatchNormBackpropSums::make_adjoints(const Deltas& deltas) {
    return backprop_adjoints(*this, deltas);
}

}  // namespace normgraph::op
