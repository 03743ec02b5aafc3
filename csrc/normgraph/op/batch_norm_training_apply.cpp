#include "normgraph/op/batch_norm_training_apply.hpp"

#include <memory>

#include "normgraph/op/batch_norm_inference.hpp"
#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormTrainingApply::decompose(element::Type compute_type) {
    const BatchNormStages stages(*this, compute_type);
    const Output centered = stages.centered(stages.input(Role::mean));
    return std::vector{stages.in_data_type(stages.normed(centered, stages.input(Role::variance)))};
}

/// The statistics are inputs, through which gradients flow on: as in BatchNormInference.
Deltas BatchNormTrainingApply::make_adjoints(const Deltas& deltas) {
    const auto& inputs = input_values();
    return std::make_shared<BatchNormInference>(inputs[0], inputs[1], inputs[2], inputs[3],
                                                inputs[4], epsilon(), channel_axis(),
                                                friendly_name())
        ->generate_adjoints(deltas);
}

}  // namespace normgraph::op
