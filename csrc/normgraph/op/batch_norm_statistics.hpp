#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// The base class of BatchNormStatistics: the type of its statistics is f64.
class UnroundedStatisticsNode : public BatchNormNode {
protected:
    using BatchNormNode::BatchNormNode;

    static BatchNormAttributes batch_norm_attributes_of(std::int64_t channel_axis) {
        return {default_epsilon, channel_axis, element::f64};
    }
};

/// The first stage of BatchNormTraining: see `documentation`.
///
/// Constraints: C2, C5, C6, C10, C16, C17 (see batch_norm_constraints.hpp).
class BatchNormStatistics final
    : public BatchNormOp<BatchNormStatistics, 1, UnroundedStatisticsNode> {
public:
    static constexpr std::string_view class_name = "BatchNormStatistics";
    static constexpr std::string_view documentation =
        R"(The statistics that BatchNormTraining normalizes with, not rounded.

Per channel, over its n elements:

    mean     = sum(input) / n
    variance = sum((input - mean)**2) / n                                  (biased)

BatchNormTrainingApply normalizes with them, or with what an exchange between processes has made of
those of all parts of a batch.)";
    static constexpr Signature<1, 2> signature{
        {{ports::input}},
        {{{"mean", Role::mean, ports::unrounded}, {"variance", Role::variance, ports::unrounded}}},
        ports::counted_where};

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
