#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// The first stage of BatchNormTrainingBackprop: see `documentation`.
///
/// Constraints: C2 to C10, C16, C17 (see batch_norm_constraints.hpp).
class BatchNormBackpropSums final : public BatchNormOp<BatchNormBackpropSums, 3, BatchNormNode> {
public:
    static constexpr std::string_view class_name = "BatchNormBackpropSums";
    static constexpr std::string_view documentation =
        R"(The sums that BatchNormTrainingBackprop makes its gradients of, not rounded.

Per channel:

    beta_delta = sum(normalized_delta)
    gmul_delta = sum(normalized_delta * (input - mean))

BatchNormTrainingBackpropApply makes the gradients of them, or of what an exchange between processes
has made of those of all parts of a batch, which are added.)";
    static constexpr Signature<3, 2> signature{
        {{ports::input,
          {"mean", Role::mean,
           "(C), of input's element type or of any wider one: the whole batch's, which the forward "
           "op normalized with, used as given"},
          ports::normalized_delta}},
        {{{"beta_delta", Role::sum_of_deltas, ports::unrounded},
          {"gmul_delta", Role::sum_of_products, ports::unrounded}}},
        ports::counted_where};

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
