#include "normgraph/op/batch_norm_training_relu.hpp"

#include <utility>

#include "normgraph/op/batch_norm_constraints.hpp"

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

}  // namespace normgraph::op
