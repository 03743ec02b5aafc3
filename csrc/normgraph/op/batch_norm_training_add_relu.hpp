#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// BatchNormTraining, the sum with another tensor, and ReLU in one: see `documentation`.
///
/// Constraints: C1 to C10, C13, C16, C17 (see batch_norm_constraints.hpp).
class BatchNormTrainingAddRelu final : public BatchNormOp<BatchNormTrainingAddRelu, 4, ReluNode> {
public:
    static constexpr std::string_view class_name = "BatchNormTrainingAddRelu";
    static constexpr std::string_view function_name = "batch_norm_training_add_relu";
    static constexpr std::string_view documentation =
        R"(Normalize each channel with the statistics of this batch, add a residual, and apply ReLU.

With normalized as BatchNormTraining computes it, before it is rounded to its element type:

    added     = normalized + residual, rounded to input's element type
    activated = 0 where added <= 0, upper_bound where added >= upper_bound, else added
    mask      = a bit for each element: 1 where activated is neither 0 nor upper_bound

A NaN stays. mask is packed as BatchNormTrainingRelu says, and is all of the output that the
backward pass needs. upper_bound=6.0 is that of ReLU6.)";
    static constexpr Signature<4, 4> signature{
        {{ports::input, ports::gamma, ports::beta, ports::residual}},
        {{ports::activated, ports::batch_mean, ports::batch_variance, ports::made_mask}},
        ports::counted_where};

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
