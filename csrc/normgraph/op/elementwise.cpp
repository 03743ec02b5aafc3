#include "normgraph/op/elementwise.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

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

Relu::Relu(const Output& value, std::optional<double> upper_bound, std::string friendly_name)
    : ElementwiseNode{{value}, upper_bound, std::move(friendly_name)} {
    validate_and_infer_types();
}

Deltas Relu::make_adjoints(const Deltas& deltas) {
    return {std::make_shared<ReluBackprop>(output(0), *deltas[0], upper_bound())};
}

ReluBackprop::ReluBackprop(const Output& value, const Output& delta,
                           std::optional<double> upper_bound, std::string friendly_name)
    : ElementwiseNode{{value, delta}, upper_bound, std::move(friendly_name)} {
    validate_and_infer_types();
}

Deltas ReluBackprop::make_adjoints(const Deltas& deltas) {
    return {std::nullopt,
            std::make_shared<ReluBackprop>(input_values()[0], *deltas[0], upper_bound())};
}

}  // namespace normgraph::op
