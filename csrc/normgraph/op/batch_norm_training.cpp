#include "normgraph/op/batch_norm_training.hpp"

#include <memory>
#include <string>

#include "normgraph/op/batch_norm_stages.hpp"
#include "normgraph/op/batch_norm_training_backprop.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormTraining::decompose(element::Type compute_type) {
    const TrainingStages stages = training_stages(*this, compute_type);
    return std::vector{stages.normed, stages.mean, stages.variance};
}

Deltas BatchNormTraining::make_adjoints(const Deltas& deltas) {
    std::shared_ptr<Node> backprop;
    if (const std::optional<Output>& normalized_delta = deltas[0]) {
        const auto& inputs = input_values();
        backprop = std::make_shared<BatchNormTrainingBackprop>(
            inputs[0], inputs[1], inputs[2], output("mean"), output("variance"), *normalized_delta,
            epsilon(), channel_axis(), std::string(), where());
    }
    return training_adjoints(*this, deltas, backprop);
}

}  // namespace normgraph::op
