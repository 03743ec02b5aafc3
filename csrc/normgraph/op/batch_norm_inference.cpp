#include "normgraph/op/batch_norm_inference.hpp"

#include <memory>

#include "normgraph/op/batch_norm_inference_backprop.hpp"
#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormInference::decompose(element::Type compute_type) {
    const BatchNormStages stages(*this, compute_type);
    const Output centered = stages.centered(stages.input(Role::mean));
    return std::vector{stages.in_data_type(stages.normed(centered, stages.input(Role::variance)))};
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
    const Output& variance = stages.input(Role::variance);
    const Output invsqrt = stages.inverse_root(variance);
    const Output gmul = stages.input(Role::gamma) * invsqrt;
    const Output minus_half = filled(-0.5, element::f64, variance);
    const Output mean_delta = -(gmul * stages.in_compute_type(beta_delta));
    const Output variance_delta = minus_half * gmul * invsqrt * stages.in_compute_type(gamma_delta);
    return {backprop->output("input_delta"), gamma_delta, beta_delta,
            stages.in_statistics_type(mean_delta), stages.in_statistics_type(variance_delta)};
}

}  // namespace normgraph::op
