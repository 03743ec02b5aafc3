#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// The gradients of BatchNormTrainingAddRelu's output activated: see `documentation`.
///
/// Constraints: C1 to C12, C16, C17 (see batch_norm_constraints.hpp).
class BatchNormTrainingAddReluBackprop final
    : public BatchNormOp<BatchNormTrainingAddReluBackprop, 7> {
public:
    static constexpr std::string_view class_name = "BatchNormTrainingAddReluBackprop";
    static constexpr std::string_view function_name = "batch_norm_training_add_relu_backprop";
    static constexpr std::string_view documentation =
        R"(Gradients of BatchNormTrainingAddRelu's output activated.

They are those of BatchNormTraining, and of the residual, with

    normalized_delta = residual_delta = activated_delta where the bit of mask is 1, else 0

What activated_delta holds where the bit is 0 does not count, be it NaN or infinity. What is not
known of the inputs is not inferred from mask. The residual itself is not needed.)";
    static constexpr Signature<7, 4> signature{
        {{ports::input,
          ports::gamma,
          ports::unread_beta,
          ports::forward_mean,
          ports::forward_variance,
          {"mask", Role::mask, "u8, C-contiguous: BatchNormTrainingAddRelu's output of this name"},
          ports::activated_delta}},
        {{ports::input_delta,
          ports::gamma_delta,
          ports::beta_delta,
          {"residual_delta", Role::residual_delta, ports::like_input}}},
        ports::counted_where};
    static constexpr Statistics statistics = Statistics::of_batch;

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
