#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// BatchNormInference and ReLU in one: see `documentation`.
///
/// Constraints: C1, C2, C4, C5, C6, C8, C9, C10, C13 (see batch_norm_constraints.hpp).
class BatchNormInferenceRelu final
    : public BatchNormOp<BatchNormInferenceRelu, 5, InferenceReluNode> {
public:
    static constexpr std::string_view class_name = "BatchNormInferenceRelu";
    static constexpr std::string_view function_name = "batch_norm_inference_relu";
    static constexpr std::string_view documentation =
        R"(Normalize each channel with given statistics, and apply ReLU.

With normalized as BatchNormInference gives it, rounded to its element type:

    activated = 0 where normalized <= 0, upper_bound where normalized >= upper_bound,
                else normalized                                     (a NaN stays)

upper_bound=6.0 is that of ReLU6.)";
    static constexpr Signature<5, 1> signature{
        {{ports::input, ports::gamma, ports::beta, ports::given_mean, ports::given_variance}},
        {{ports::activated}}};

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
