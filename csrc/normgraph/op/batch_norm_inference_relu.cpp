#include "normgraph/op/batch_norm_inference_relu.hpp"

#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormInferenceRelu::decompose(element::Type compute_type) {
    return activated_inference_stages(*this, compute_type);
}

Deltas BatchNormInferenceRelu::make_adjoints(const Deltas& deltas) {
    return activated_inference_adjoints(*this, *deltas[0]);
}

}  // namespace normgraph::op
