#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// The second stage of BatchNormTrainingBackprop: see `documentation`.
///
/// Constraints: C1 to C10, C14 to C17 (see batch_norm_constraints.hpp).
class BatchNormTrainingBackpropApply final
    : public BatchNormOp<BatchNormTrainingBackpropApply, 7, CountNode> {
public:
    static constexpr std::string_view class_name = "BatchNormTrainingBackpropApply";
    static constexpr std::string_view documentation =
        R"(Gradients of BatchNormTraining's output normalized, with the whole batch's sums as given.

Per channel, with inv = 1/sqrt(variance + epsilon), and n elements of count, or else of input:

    gamma_delta = gmul_delta * inv
    input_delta = gamma * inv * (normalized_delta - beta_delta/n
                                 - (input - mean) * inv * gamma_delta/n)

The output beta_delta is the input of this name, rounded. With BatchNormBackpropSums's outputs this
is BatchNormTrainingBackprop, to the bit.)";
    static constexpr Signature<7, 3> signature{
        {{ports::input, ports::gamma, ports::forward_mean, ports::forward_variance,
          ports::normalized_delta, ports::given_sum_of_deltas, ports::given_sum_of_products}},
        {{ports::input_delta, ports::gamma_delta, ports::beta_delta}},
        ports::counted_where};
    static constexpr Statistics statistics = Statistics::of_batch;

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
