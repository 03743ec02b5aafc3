#include "normgraph/pass/differentiate.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

#include "normgraph/op/adjoints.hpp"
#include "normgraph/op/expressions.hpp"

namespace normgraph::pass {
namespace {

using Parameters = std::vector<std::shared_ptr<Parameter>>;

void check_is_real(const std::string& what, element::Type type) {
    if (type.is_static() && !type.is_real()) {
        throw std::invalid_argument(what +
                                    " has no derivative: expected a real element type, got " +
                                    std::string(type.name()));
    }
}

void check_parameters(const Function& function, const Parameters& with_respect_to) {
    if (with_respect_to.empty()) {
        throw std::invalid_argument("wrt: expected at least one parameter, got none");
    }
    for (auto place = with_respect_to.begin(); place != with_respect_to.end(); ++place) {
        const Parameter& parameter = **place;
        const std::string name = "'" + parameter.friendly_name() + "'";
        if (std::ranges::find(function.parameters(), *place) == function.parameters().end()) {
            throw std::invalid_argument("wrt: expected parameters of '" + function.friendly_name() +
                                        "', got " + name);
        }
        if (std::find(with_respect_to.begin(), place, *place) != place) {
            throw std::invalid_argument("wrt: expected each parameter once, got " + name +
                                        " twice");
        }
        check_is_real("the parameter " + name, parameter.output_type(0).element_type);
    }
}

/// "normalized" of a node with several outputs, else the node's name.
std::string name_of(const Output& output) {
    return output.node()->output_names().size() > 1 ? std::string(output.name())
                                                    : output.node()->friendly_name();
}

Parameters delta_parameters(const std::vector<Output>& results) {
    Parameters deltas;
    for (const Output& result : results) {
        check_is_real("the result '" + name_of(result) + "'", result.element_type());
        deltas.push_back(std::make_shared<Parameter>(result.element_type(), result.partial_shape(),
                                                     name_of(result) + "_delta"));
    }
    return deltas;
}

Output zeros_like(const std::shared_ptr<Parameter>& parameter) {
    const element::Type type = parameter->output_type(0).element_type;
    if (type.is_dynamic()) {
        throw std::invalid_argument("no result depends on the parameter '" +
                                    parameter->friendly_name() +
                                    "': expected a known element type for its gradient, which is "
                                    "0, got dynamic");
    }
    return op::filled(0, type, parameter);
}

}  // namespace

Function differentiate(const Function& function, const Parameters& with_respect_to) {
    check_parameters(function, with_respect_to);
    const Parameters deltas = delta_parameters(function.results());
    const std::vector<Output> sources(with_respect_to.begin(), with_respect_to.end());
    const Deltas arrived =
        op::propagate_adjoints(function.results(), Deltas(deltas.begin(), deltas.end()), sources);
    std::vector<Output> gradients;
    for (std::size_t index = 0; index < arrived.size(); ++index) {
        gradients.push_back(arrived[index] ? *arrived[index] : zeros_like(with_respect_to[index]));
    }
    Parameters parameters = function.parameters();
    parameters.insert(parameters.end(), deltas.begin(), deltas.end());
    return {std::move(gradients), std::move(parameters)};
}

}  // namespace normgraph::pass
