#include "normgraph/op/batch_norm_backprop_sums.hpp"

#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormBackpropSums::decompose(element::Type compute_type) {
    const BatchNormStages stages(*this, compute_type);
    const BackpropSumStages sums =
        stages.sums(stages.input(Role::delta), stages.centered(stages.input(Role::mean)));
    return std::vector{convert(sums.beta_delta, element::f64),
                       convert(sums.gmul_delta, element::f64)};
}

Deltas BatchNormBackpropSums::make_adjoints(const Deltas& deltas) {
    return backprop_adjoints(*this, deltas);
}

}  // namespace normgraph::op
