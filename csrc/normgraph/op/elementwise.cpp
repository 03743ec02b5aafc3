#include "normgraph/op/elementwise.hpp"

#include <memory>
#include <optional>

#include "normgraph/op/expressions.hpp"

namespace normgraph::op {

Deltas Add::make_adjoints(const Deltas& deltas) {
    return {deltas[0], deltas[0]};
}

Deltas Subtract::make_adjoints(const Deltas& deltas) {
    return {deltas[0], -*deltas[0]};
}

Deltas Multiply::make_adjoints(const Deltas& deltas) {
    const Output& left = input_values()[0];
    const Output& right = input_values()[1];
    return {*deltas[0] * right, left * *deltas[0]};
}

Deltas Divide::make_adjoints(const Deltas& deltas) {
    const Output quotient_delta = *deltas[0] / input_values()[1];
    return {quotient_delta, -(quotient_delta * output(0))};
}

Deltas Negate::make_adjoints(const Deltas& deltas) {
    return {-*deltas[0]};
}

Deltas SquareRoot::make_adjoints(const Deltas& deltas) {
    const Output root = output(0);
    return {*deltas[0] / (root + root)};
}

Deltas Relu::make_adjoints(const Deltas& deltas) {
    return {std::make_shared<ReluBackprop>(output(0), *deltas[0])};
}

Deltas ReluBackprop::make_adjoints(const Deltas& deltas) {
    return {std::nullopt, std::make_shared<ReluBackprop>(input_values()[0], *deltas[0])};
}

}  // namespace normgraph::op
