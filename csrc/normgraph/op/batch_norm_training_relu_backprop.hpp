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

/// The gradients of BatchNormTrainingRelu's output `activated`: those of BatchNormTraining with
///
///     normalized_delta = activated_delta where the bit of mask is 1, else 0
///
/// What activated_delta holds where the bit is 0 does not count, be it NaN or infinity. mean,
/// variance and mask are BatchNormTrainingRelu's outputs of these names; beta is not read.
///
/// Constraints: C1 to C12 (see batch_norm_constraints.hpp).
class BatchNormTrainingReluBackprop final : public BatchNormNode {
public:
    static constexpr std::string_view class_name = "BatchNormTrainingReluBackprop";
    static constexpr std::array<std::string_view, 7> names_of_inputs{
        "input", "gamma", "beta", "mean", "variance", "mask", "activated_delta"};
    static constexpr std::array<std::string_view, 3> names_of_outputs{"input_delta", "gamma_delta",
                                                                      "beta_delta"};

    /// input and activated_delta are (., C, ...) with C at channel_axis; mask is what
    /// BatchNormTrainingRelu puts out; the others are (C).
    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    BatchNormTrainingReluBackprop(const Output& input, const Output& gamma, const Output& beta,
                                  const Output& mean, const Output& variance, const Output& mask,
                                  const Output& activated_delta, double epsilon,
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
