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

/// Normalizes each channel with the statistics it is given:
///
///     normalized = gamma * (input - mean) / sqrt(variance + epsilon) + beta
///
/// Constraints: C1, C2, C4, C5, C6, C8, C9, C10 (see batch_norm_constraints.hpp).
class BatchNormInference final : public BatchNormNode {
public:
    static constexpr std::string_view class_name = "BatchNormInference";
    static constexpr std::array<std::string_view, 5> names_of_inputs{"input", "gamma", "beta",
                                                                     "mean", "variance"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"normalized"};

    /// input is (., C, ...) with C at channel_axis; the other inputs are (C).
    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    BatchNormInference(const Output& input, const Output& gamma, const Output& beta,
                       const Output& mean, const Output& variance, double epsilon,
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
