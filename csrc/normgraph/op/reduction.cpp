#include "normgraph/op/reduction.hpp"

#include <optional>

#include "normgraph/op/expressions.hpp"

namespace normgraph::op {

Deltas Sum::make_adjoints(const Deltas& deltas) {
    return {broadcast(*deltas[0], input_values()[0], axes())};
}

Deltas Mean::make_adjoints(const Deltas& deltas) {
    return {mean_backprop(*deltas[0], input_values()[0], axes())};
}

Deltas Broadcast::make_adjoints(const Deltas& deltas) {
    return {sum(*deltas[0], axes()), std::nullopt};
}

Deltas MeanBackprop::make_adjoints(const Deltas& deltas) {
    return {mean(*deltas[0], axes()), std::nullopt};
}

}  // namespace normgraph::op
