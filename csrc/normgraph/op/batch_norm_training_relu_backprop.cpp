#include "normgraph/op/batch_norm_training_relu_backprop.hpp"

#include <utility>

#include "normgraph/op/adjoints.hpp"
#include "normgraph/op/batch_norm_constraints.hpp"
#include "normgraph/op/batch_norm_stages.hpp"
#include "normgraph/op/relu_selection.hpp"

namespace normgraph::op {

BatchNormTrainingReluBackprop::BatchNormTrainingReluBackprop(
    const Output& input, const Output& gamma, const Output& beta, const Output& mean,
    const Output& variance, const Output& mask, const Output& activated_delta, double epsilon,
    std::int64_t channel_axis, std::string friendly_name)
    : BatchNormNode{{input, gamma, beta, mean, variance, mask, activated_delta},
                    epsilon,
                    channel_axis,
                    std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> BatchNormTrainingReluBackprop::infer(const std::vector<TensorType>& inputs,
                                                             double epsilon,
                                                             std::int64_t channel_axis) {
    const BatchNormTypes types =
        infer_batch_norm(class_name, names_of_inputs, inputs, epsilon, channel_axis);
    return {types.data, types.channel, types.channel};
}

std::vector<TensorType> BatchNormTrainingReluBackprop::infer_types(
    const std::vector<TensorType>& inputs) const {
    return infer(inputs, epsilon(), channel_axis());
}

std::shared_ptr<Node> BatchNormTrainingReluBackprop::make_clone(
    const std::vector<Output>& inputs, const std::string& friendly_name) const {
    return std::make_shared<BatchNormTrainingReluBackprop>(
        inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], inputs[5], inputs[6], epsilon(),
        channel_axis(), friendly_name);
}

std::optional<std::vector<Output>> BatchNormTrainingReluBackprop::decompose(
    element::Type compute_type) {
    const Output normalized_delta =
        named(std::make_shared<ReluMaskSelect>(input("activated_delta").source(),
                                               input("mask").source(), channel_axis()),
              "normed_delta");
    return BatchNormStages(*this, compute_type).backprop(normalized_delta, Statistics::of_batch);
}

Deltas BatchNormTrainingReluBackprop::make_adjoints(const Deltas& deltas) {
    return adjoints_of_decomposition(*this, deltas);
}

}  // namespace normgraph::op
