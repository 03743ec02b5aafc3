#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// BatchNormInference, the sum with another tensor, and ReLU in one: see `documentation`.
///
/// Constraints: C1 to C10, C13 (see batch_norm_constraints.hpp).
class BatchNormInferenceAddRelu final
    : public BatchNormOp<BatchNormInferenceAddRelu, 6, InferenceReluNode> {
public:
    static constexpr std::string_view class_name = "BatchNormInferenceAddRelu";
    static constexpr std::string_view function_name = "batch_norm_inference_add_relu";
    static constexpr std::string_view documentation =
        R"(Normalize each channel with given statistics, add a residual, and apply ReLU.

With normalized as BatchNormInference computes it, before it is rounded to its element type:

    added     = normalized + residual, rounded to input's element type
    activated = 0 where added <= 0, upper_bound where added >= upper_bound, else added

A NaN stays. upper_bound=6.0 is that of ReLU6.)";
    static constexpr Signature<6, 1> signature{
        {{ports::input, ports::gamma, ports::beta, ports::given_mean, ports::given_variance,
          ports::residual}},
        {{ports::activated}}};

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
