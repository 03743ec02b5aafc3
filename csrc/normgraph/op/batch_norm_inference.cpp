#include "normgraph/op/batch_norm_inference.hpp"

#include <utility>

#include "normgraph/op/batch_norm_constraints.hpp"

namespace normgraph::op {

BatchNormInference::BatchNormInference(const Output& input, const Output& gamma, const Output& beta,
                                       const Output& mean, const Output& variance, double epsilon,
                                       std::int64_t channel_axis, std::string friendly_name)
    : BatchNormNode{
          {input, gamma, beta, mean, variance}, epsilon, channel_axis, std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> BatchNormInference::infer(const std::vector<TensorType>& inputs,
                                                  double epsilon, std::int64_t channel_axis) {
    const BatchNormTypes types =
        infer_batch_norm(class_name, names_of_inputs, inputs, epsilon, channel_axis);
    return {types.data};
}

std::vector<TensorType> BatchNormInference::infer_types(
    const std::vector<TensorType>& inputs) const {
    return infer(inputs, epsilon(), channel_axis());
}

std::shared_ptr<Node> BatchNormInference::make_clone(const std::vector<Output>& inputs,
                                                     const std::string& friendly_name) const {
    return std::make_shared<BatchNormInference>(inputs[0], inputs[1], inputs[2], inputs[3],
                                                inputs[4], epsilon(), channel_axis(),
                                                friendly_name);
}

}  // namespace normgraph::op
