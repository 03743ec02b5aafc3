#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// The gradients of BatchNormTraining's output normalized: see `documentation`. mean and variance
/// are that op's outputs of these names.
///
/// Constraints: C1 to C10, C16, C17 (see batch_norm_constraints.hpp).
class BatchNormTrainingBackprop final : public BatchNormOp<BatchNormTrainingBackprop, 6> {
public:
    static constexpr std::string_view class_name = "BatchNormTrainingBackprop";
    static constexpr std::string_view function_name = "batch_norm_training_backprop";
    static constexpr std::string_view documentation =
        R"(Gradients of BatchNormTraining's output normalized.

Per channel, over its n elements, with inv = 1/sqrt(variance + epsilon) and
xhat = (input - mean) * inv:

    beta_delta  = sum(normalized_delta)
    gamma_delta = sum(normalized_delta * xhat)
    input_delta = gamma * inv * (normalized_delta - beta_delta/n - xhat * gamma_delta/n))";
    static constexpr Signature<6, 3> signature{
        {{ports::input, ports::gamma, ports::unread_beta, ports::forward_mean,
          ports::forward_variance, ports::normalized_delta}},
        {{ports::input_delta, ports::gamma_delta, ports::beta_delta}},
        ports::counted_where};
    static constexpr Statistics statistics = Statistics::of_batch;

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
