#include "normgraph/op/batch_norm_training_apply.hpp"

#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormTrainingApply::decompose(element::Type compute_type) {
    return std::vector{inference_stages(*this, compute_type)};
}

/// The statistics are inputs, through which gradients flow on: as in BatchNormInference.
Deltas BatchNormTrainingApply::make_adjoints(const Deltas& deltas) {
    return adjoints_at_usable_variance(
        *this, [&](BatchNormNode& copy) { return inference_adjoints(copy, *deltas[0]); });
}

}  // namespace normgraph::op
