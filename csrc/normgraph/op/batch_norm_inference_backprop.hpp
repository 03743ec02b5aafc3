#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// The gradients of BatchNormInference, whose statistics are given, so that no gradient flows
/// through them: see `documentation`.
///
/// Constraints: C1 to C10 (see batch_norm_constraints.hpp).
class BatchNormInferenceBackprop final : public BatchNormOp<BatchNormInferenceBackprop, 6> {
public:
    static constexpr std::string_view class_name = "BatchNormInferenceBackprop";
    static constexpr std::string_view function_name = "batch_norm_inference_backprop";
    static constexpr std::string_view documentation =
        R"(Gradients of BatchNormInference, whose statistics are given.

Per channel, with inv = 1/sqrt(variance + epsilon) and xhat = (input - mean) * inv:

    beta_delta  = sum(normalized_delta)
    gamma_delta = sum(normalized_delta * xhat)
    input_delta = gamma * inv * normalized_delta)";
    static constexpr Signature<6, 3> signature{
        {{ports::input, ports::gamma, ports::unread_beta, ports::forward_mean,
          ports::forward_variance, ports::normalized_delta}},
        {{ports::input_delta, ports::gamma_delta, ports::beta_delta}}};
    static constexpr Statistics statistics = Statistics::given;

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
