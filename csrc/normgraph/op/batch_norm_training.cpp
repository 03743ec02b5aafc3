#include "normgraph/op/batch_norm_training.hpp"

#include <utility>

#include "normgraph/op/batch_norm_constraints.hpp"
#include "normgraph/op/batch_norm_stages.hpp"
#include "normgraph/op/batch_norm_training_backprop.hpp"

namespace normgraph::op {

BatchNormTraining::BatchNormTraining(const Output& input, const Output& gamma, const Output& beta,
                                     double epsilon, std::int64_t channel_axis,
                                     std::string friendly_name)
    : BatchNormNode{{input, gamma, beta}, epsilon, channel_axis, std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> BatchNormTraining::infer(const std::vector<TensorType>& inputs,
                                                 double epsilon, std::int64_t channel_axis) {
    const BatchNormTypes types =
        infer_batch_norm(class_name, names_of_inputs, inputs, epsilon, channel_axis);
    return {types.data, types.channel, types.channel};
}

std::vector<TensorType> BatchNormTraining::infer_types(
    const std::vector<TensorType>& inputs) const {
    return infer(inputs, epsilon(), channel_axis());
}

std::shared_ptr<Node> BatchNormTraining::make_clone(const std::vector<Output>& inputs,
                                                    const std::string& friendly_name) const {
    return std::make_shared<BatchNormTraining>(inputs[0], inputs[1], inputs[2], epsilon(),
                                               channel_axis(), friendly_name);
}

std::optional<std::vector<Output>> BatchNormTraining::decompose(element::Type compute_type) {
    const TrainingStages stages = training_stages(*this, compute_type);
    return std::vector{stages.normed, stages.mean, stages.variance};
}

Deltas BatchNormTraining::make_adjoints(const Deltas& deltas) {
    Deltas adjoints(3);
    if (const std::optional<Output>& normalized_delta = deltas[0]) {
        const auto& inputs = input_values();
        const auto backprop = std::make_shared<BatchNormTrainingBackprop>(
            inputs[0], inputs[1], inputs[2], output("mean"), output("variance"), *normalized_delta,
            epsilon(), channel_axis());
        adjoints = {backprop->output(0), backprop->output(1), backprop->output(2)};
    }
    adjoints[0] = sum_of(adjoints[0], input_delta_of_statistics(*this, deltas[1], deltas[2]));
    return adjoints;
}

}  // namespace normgraph::op
