#include "normgraph/op/batch_norm_training_backprop.hpp"

#include <utility>

#include "normgraph/op/adjoints.hpp"
#include "normgraph/op/batch_norm_constraints.hpp"
#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

BatchNormTrainingBackprop::BatchNormTrainingBackprop(const Output& input, const Output& gamma,
                                                     const Output& beta, const Output& mean,
                                                     const Output& variance,
                                                     const Output& normalized_delta, double epsilon,
                                                     std::int64_t channel_axis,
                                                     std::string friendly_name)
    : BatchNormNode{{input, gamma, beta, mean, variance, normalized_delta},
                    epsilon,
                    channel_axis,
                    std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> BatchNormTrainingBackprop::infer(const std::vector<TensorType>& inputs,
                                                         double epsilon,
                                                         std::int64_t channel_axis) {
    const BatchNormTypes types =
        infer_batch_norm(class_name, names_of_inputs, inputs, epsilon, channel_axis);
    return {types.data, types.channel, types.channel};
}

std::vector<TensorType> BatchNormTrainingBackprop::infer_types(
    const std::vector<TensorType>& inputs) const {
    return infer(inputs, epsilon(), channel_axis());
}

std::shared_ptr<Node> BatchNormTrainingBackprop::make_clone(
    const std::vector<Output>& inputs, const std::string& friendly_name) const {
    return std::make_shared<BatchNormTrainingBackprop>(inputs[0], inputs[1], inputs[2], inputs[3],
                                                       inputs[4], inputs[5], epsilon(),
                                                       channel_axis(), friendly_name);
}

std::optional<std::vector<Output>> BatchNormTrainingBackprop::decompose(
    element::Type compute_type) {
    return BatchNormStages(*this, compute_type)
        .backprop(input("normalized_delta").source(), Statistics::of_batch);
}

Deltas BatchNormTrainingBackprop::make_adjoints(const Deltas& deltas) {
    return adjoints_of_decomposition(*this, deltas);
}

}  // namespace normgraph::op
