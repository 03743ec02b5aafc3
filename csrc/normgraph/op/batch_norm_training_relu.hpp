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

/// BatchNormTraining and a rectifier in one. With normalized as BatchNormTraining gives it, rounded
/// to its element type:
///
///     activated = 0 where normalized <= 0, else normalized               (a NaN stays)
///     mask      = a bit for each element: 1 where activated is not 0
///
/// mask is all of the output that the backward pass needs. It has the element type u8; its bits are
/// packed, the least significant first, along the axes behind the channel axis, merged into one, or
/// along the channel axis if that is the last one (see relu_mask_shape in relu_mask.hpp).
///
/// Constraints: C1, C2, C4, C5, C6, C8, C9, C10 (see batch_norm_constraints.hpp).
class BatchNormTrainingRelu final : public BatchNormNode {
public:
    static constexpr std::string_view class_name = "BatchNormTrainingRelu";
    static constexpr std::array<std::string_view, 3> names_of_inputs{"input", "gamma", "beta"};
    static constexpr std::array<std::string_view, 4> names_of_outputs{"activated", "mean",
                                                                      "variance", "mask"};

    /// input is (., C, ...) with C at channel_axis; gamma and beta are (C).
    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    BatchNormTrainingRelu(const Output& input, const Output& gamma, const Output& beta,
                          double epsilon, std::int64_t channel_axis = 1,
                          std::string friendly_name = {});

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
