#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// The second stage of BatchNormTraining: see `documentation`.
///
/// Constraints: C1, C2, C4, C5, C6, C8, C9, C10 (see batch_norm_constraints.hpp).
class BatchNormTrainingApply final : public BatchNormOp<BatchNormTrainingApply, 5> {
public:
    static constexpr std::string_view class_name = "BatchNormTrainingApply";
    static constexpr std::string_view documentation =
        R"(Normalize each channel as BatchNormTraining does, with the whole batch's statistics as given.

    normalized = gamma * (input - mean) / sqrt(variance + epsilon) + beta

With BatchNormStatistics's outputs this is BatchNormTraining, to the bit. Unlike in
BatchNormInference, an infinite variance makes its channel NaN.)";
    static constexpr Signature<5, 1> signature{
        {{ports::input,
          ports::gamma,
          ports::beta,
          {"mean", Role::mean, ports::statistics_of_whole_batch},
          {"variance", Role::variance, ports::statistics_of_whole_batch}}},
        {{{"normalized", Role::result, ports::like_input}}}};
    static constexpr Statistics statistics = Statistics::of_batch;

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
