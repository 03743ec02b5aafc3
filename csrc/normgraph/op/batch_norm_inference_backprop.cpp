#include "normgraph/op/batch_norm_inference_backprop.hpp"

#include "normgraph/op/adjoints.hpp"
#include "normgraph/op/batch_norm_stages.hpp"

namespace normgraph::op {

std::optional<std::vector<Output>> BatchNormInferenceBackprop::decompose(
    element::Type compute_type) {
    return BatchNormStages(*this, compute_type).backprop(source(Role::delta), statistics);
}

Deltas BatchNormInferenceBackprop::make_adjoints(const Deltas& deltas) {
    return adjoints_of_decomposition(*this, deltas);
}

}  // namespace normgraph::op
