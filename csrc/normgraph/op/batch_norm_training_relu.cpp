#include "normgraph/op/batch_norm_training_relu.hpp"

#include <memory>
#include <stdexcept>

#include "normgraph/op/batch_norm_stages.hpp"
#include "normgraph/op/batch_norm_training_relu_backprop.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/relu_selection.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormTrainingRelu::decompose(element::Type compute_type) {
    const TrainingStages stages = training_stages(*this, compute_type);
    const Output activated =
        named(std::make_shared<Relu>(stages.normed, upper_bound()), "activated");
    const Output mask =
        named(std::make_shared<ReluMask>(activated, channel_axis(), upper_bound()), "mask");
    return std::vector{activated, stages.mean, stages.variance, mask};
}

Deltas BatchNormTrainingRelu::make_adjoints(const Deltas& deltas) {
    if (deltas[index_of(signature.outputs, Role::mask)]) {
        throw std::invalid_argument(description() + " '" + friendly_name() +
                                    "': its output mask has no derivative");
    }
    std::shared_ptr<Node> backprop;
    if (const std::optional<Output>& activated_delta = deltas[0]) {
        const auto& inputs = input_values();
        backprop = std::make_shared<BatchNormTrainingReluBackprop>(
            inputs[0], inputs[1], inputs[2], output("mean"), output("variance"), output("mask"),
            *activated_delta, epsilon(), channel_axis());
    }
    return training_adjoints(*this, deltas, backprop);
}

}  // namespace normgraph::op
