#include "normgraph/op/batch_norm_training_relu.hpp"

#include <stdexcept>
#include <utility>

#include "normgraph/op/batch_norm_constraints.hpp"
#include "normgraph/op/batch_norm_stages.hpp"
#include "normgraph/op/batch_norm_training_relu_backprop.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/relu_selection.hpp"

namespace normgraph::op {

BatchNormTrainingRelu::BatchNormTrainingRelu(const Output& input, const Output& gamma,
                                             const Output& beta, double epsilon,
                                             std::int64_t channel_axis, std::string friendly_name)
    : BatchNormNode{{input, gamma, beta}, epsilon, channel_axis, std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> BatchNormTrainingRelu::infer(const std::vector<TensorType>& inputs,
                                                     double epsilon, std::int64_t channel_axis) {
    const BatchNormTypes types =
        infer_batch_norm(class_name, names_of_inputs, inputs, epsilon, channel_axis);
    return {types.data, types.channel, types.channel, types.mask};
}

std::vector<TensorType> BatchNormTrainingRelu::infer_types(
    const std::vector<TensorType>& inputs) const {
    return infer(inputs, epsilon(), channel_axis());
}

std::shared_ptr<Node> BatchNormTrainingRelu::make_clone(const std::vector<Output>& inputs,
                                                        const std::string& friendly_name) const {
    return std::make_shared<BatchNormTrainingRelu>(inputs[0], inputs[1], inputs[2], epsilon(),
                                                   channel_axis(), friendly_name);
}

std::optional<std::vector<Output>> BatchNormTrainingRelu::decompose(element::Type compute_type) {
    const TrainingStages stages = training_stages(*this, compute_type);
    const Output activated = named(std::make_shared<Relu>(stages.normed), "activated");
    const Output mask = named(std::make_shared<ReluMask>(activated, channel_axis()), "mask");
    return std::vector{activated, stages.mean, stages.variance, mask};
}

Deltas BatchNormTrainingRelu::make_adjoints(const Deltas& deltas) {
    if (deltas[3]) {
        throw std::invalid_argument(description() + " '" + friendly_name() +
                                    "': its output mask has no derivative");
    }
    Deltas adjoints(3);
    if (const std::optional<Output>& activated_delta = deltas[0]) {
        const auto& inputs = input_values();
        const auto backprop = std::make_shared<BatchNormTrainingReluBackprop>(
            inputs[0], inputs[1], inputs[2], output("mean"), output("variance"), output("mask"),
            *activated_delta, epsilon(), channel_axis());
        adjoints = {backprop->output(0), backprop->output(1), backprop->output(2)};
    }
    adjoints[0] = sum_of(adjoints[0], input_delta_of_statistics(*this, deltas[1], deltas[2]));
    return adjoints;
}

}  // namespace normgraph::op
