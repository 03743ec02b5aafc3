#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// Normalizes each channel with the statistics it is given: see `documentation`.
///
/// Constraints: C1, C2, C4, C5, C6, C8, C9, C10 (see batch_norm_constraints.hpp).
class BatchNormInference final : public BatchNormOp<BatchNormInference, 5> {
public:
    static constexpr std::string_view class_name = "BatchNormInference";
    static constexpr std::string_view function_name = "batch_norm_inference";
    static constexpr std::string_view documentation =
        R"(Normalize each channel with given statistics.

    normalized = gamma * (input - mean) / sqrt(variance + epsilon) + beta)";
    static constexpr Signature<5, 1> signature{
        {{ports::input, ports::gamma, ports::beta, ports::given_mean, ports::given_variance}},
        {{{"normalized", Role::result, ports::like_input}}}};

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
