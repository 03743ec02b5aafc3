#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// Normalizes each channel with the statistics of this batch: see `documentation`.
///
/// Constraints: C1, C2, C4, C5, C6, C8, C9, C10, C16, C17 (see batch_norm_constraints.hpp).
class BatchNormTraining final : public BatchNormOp<BatchNormTraining, 3, StatisticsNode> {
public:
    static constexpr std::string_view class_name = "BatchNormTraining";
    static constexpr std::string_view function_name = "batch_norm_training";
    static constexpr std::string_view documentation =
        R"(Normalize each channel with the statistics of this batch.

Per channel, over its n elements:

    mean       = sum(input) / n
    variance   = sum((input - mean)**2) / n                                (biased)
    normalized = gamma * (input - mean) / sqrt(variance + epsilon) + beta)";
    static constexpr Signature<3, 3> signature{{{ports::input, ports::gamma, ports::beta}},
                                               {{{"normalized", Role::result, ports::like_input},
                                                 ports::batch_mean,
                                                 ports::batch_variance}},
                                               ports::counted_where};

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
