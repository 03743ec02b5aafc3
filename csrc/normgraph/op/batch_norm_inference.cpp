#include "normgraph/op/batch_norm_inference.hpp"

#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormInference::decompose(element::Type compute_type) {
    return std::vector{inference_stages(*this, compute_type)};
}

Deltas BatchNormInference::make_adjoints(const Deltas& deltas) {
    return inference_adjoints(*this, *deltas[0]);
}

}  // namespace normgraph::op
