#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"
#include "normgraph/op/tensor_type.hpp"

namespace normgraph::op {

/// The gradients of BatchNormInference, whose statistics are constants: no gradient flows through
/// them. For the n elements of a channel, with scale = 1 / sqrt(variance + epsilon),
/// centered = (input - mean) * scale, d = normalized_delta:
///
///     beta_delta  = sum(d)
///     gamma_delta = sum(d * centered)
///     input_delta = gamma * scale * d
///
/// beta is not read.
///
/// Constraints: C1 to C10 (see batch_norm_constraints.hpp).
class BatchNormInferenceBackprop final : public BatchNormNode {
public:
    static constexpr std::string_view class_name = "BatchNormInferenceBackprop";
    static constexpr std::array<std::string_view, 6> names_of_inputs{
        "input", "gamma", "beta", "mean", "variance", "normalized_delta"};
    static constexpr std::array<std::string_view, 3> names_of_outputs{"input_delta", "gamma_delta",
                                                                      "beta_delta"};

    /// input and normalized_delta are (., C, ...) with C at channel_axis; the others are (C).
    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    BatchNormInferenceBackprop(const Output& input, const Output& gamma, const Output& beta,
                               const Output& mean, const Output& variance,
                               const Output& normalized_delta, double epsilon,
                               std::int64_t channel_axis = 1, std::string friendly_name = {});

    /// The types of the outputs for inputs of these types, in the order of the names above.
    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs, double epsilon,
                                         std::int64_t channel_axis);

    std::string_view type_name() const noexcept override { return class_name; }
    std::span<const std::string_view> input_names() const noexcept override {
        return names_of_inputs;
    }
    std::span<const std::string_view> output_names() const noexcept override {
        return names_of_outputs;
    }

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const override;
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const override;
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
