#include "normgraph/op/batch_norm_statistics.hpp"

#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormStatistics::decompose(element::Type compute_type) {
    const BatchNormStages stages(*this, compute_type);
    const BatchStages batch = stages.of_batch();
    return std::vector{stages.in_statistics_type(batch.mean),
                       stages.in_statistics_type(batch.variance)};
}

Deltas BatchNormStatistics::make_adjoints(const Deltas& deltas) {
    return training_adjoints(*this, deltas, nullptr);
}

}  // namespace normgraph::op
