#include "normgraph/op/batch_norm_inference.hpp"

#include <utility>

#include "normgraph/op/batch_norm_constraints.hpp"
#include "normgraph/op/batch_norm_inference_backprop.hpp"
#include "normgraph/op/batch_norm_stages.hpp"

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

std::optional<std::vector<Output>> BatchNormInference::decompose(element::Type compute_type) {
    const BatchNormStages stages(*this, compute_type);
    const Output centered = stages.centered(stages.input("mean"));
    return std::vector{stages.in_data_type(stages.normed(centered, stages.input("variance")))};
}

Deltas BatchNormInference::make_adjoints(const Deltas& deltas) {
    const auto& inputs = input_values();
    const auto backprop = std::make_shared<BatchNormInferenceBackprop>(
        inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], *deltas[0], epsilon(),
        channel_axis());
    const Output gamma_delta = backprop->output("gamma_delta");
    const Output beta_delta = backprop->output("beta_delta");

    // With gmul = gamma·invsqrt: d mean = −gmul·Σδ, d variance = −½ gmul·invsqrt·Σδ·x̂.
    const BatchNormStages stages(*this, element::f64);
    const Output& variance = stages.input("variance");
    const Output invsqrt = stages.inverse_root(variance);
    const Output gmul = stages.input("gamma") * invsqrt;
    const Output minus_half = filled(-0.5, element::f64, variance);
    const Output mean_delta = -(gmul * stages.in_compute_type(beta_delta));
    const Output variance_delta = minus_half * gmul * invsqrt * stages.in_compute_type(gamma_delta);
    return {backprop->output("input_delta"), gamma_delta, beta_delta,
            stages.in_channel_type(mean_delta), stages.in_channel_type(variance_delta)};
}

}  // namespace normgraph::op
