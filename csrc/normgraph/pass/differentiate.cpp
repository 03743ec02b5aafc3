#include "normgraph/pass/differentiate.hpp"

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_set>

#include "normgraph/ir/distinct_names.hpp"
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
    const std::unordered_set<std::shared_ptr<Parameter>> known(function.parameters().begin(),
                                                               function.parameters().end());
    std::unordered_set<std::shared_ptr<Parameter>> listed;
    for (const std::shared_ptr<Parameter>& parameter : with_respect_to) {
        const std::string name = "'" + parameter->friendly_name() + "'";
        if (!known.contains(parameter)) {
            throw std::invalid_argument("wrt: expected parameters of '" + function.friendly_name() +
                                        "', got " + name);
        }
        if (!listed.insert(parameter).second) {
            throw std::invalid_argument("wrt: expected each parameter once, got " + name +
                                        " twice");
        }
        check_is_real("the parameter " + name, parameter->output_type(0).element_type);
    }
}

/// "normalized" of a node with several outputs, else the node's name.
std::string name_of(const Output& output) {
    return output.node()->output_names().size() > 1 ? std::string(output.name())
                                                    : output.node()->friendly_name();
}

Parameters delta_parameters(const std::vector<Output>& results, DistinctNames& names) {
    Parameters deltas;
    for (const Output& result : results) {
        check_is_real("the result '" + name_of(result) + "'", result.element_type());
        deltas.push_back(std::make_shared<Parameter>(result.element_type(), result.partial_shape(),
                                                     names.take(name_of(result) + "_delta")));
    }
    return deltas;
}

DistinctNames names_of(const Parameters& parameters) {
    DistinctNames names;
    for (const std::shared_ptr<Parameter>& parameter : parameters) {
        names.take(parameter->friendly_name());
    }
    return names;
}

/// Nodes that were there before keep their names: others may see them.
void give_distinct_names(const std::vector<Output>& gradients, const Function& function,
                         const Parameters& deltas, DistinctNames& names) {
    std::unordered_set<const Node*> done;
    for (const std::shared_ptr<Node>& node : function.nodes()) {
        done.insert(node.get());
    }
    for (const std::shared_ptr<Parameter>& delta : deltas) {
        done.insert(delta.get());
    }
    for (const Output& gradient : gradients) {
        Node& node = *gradient.node();
        if (!done.insert(&node).second) {
            continue;
        }
        const std::string name = node.friendly_name();
        const std::string distinct = names.take(name);
        if (distinct != name) {
            node.set_friendly_name(distinct);
        }
    }
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
    DistinctNames names = names_of(function.parameters());
    const Parameters deltas = delta_parameters(function.results(), names);
    const std::vector<Output> sources(with_respect_to.begin(), with_respect_to.end());
    const Deltas arrived =
        op::propagate_adjoints(function.results(), Deltas(deltas.begin(), deltas.end()), sources);
    std::vector<Output> gradients;
    for (std::size_t index = 0; index < arrived.size(); ++index) {
        gradients.push_back(arrived[index] ? *arrived[index] : zeros_like(with_respect_to[index]));
    }
    give_distinct_names(gradients, function, deltas, names);
    Parameters parameters = function.parameters();
    parameters.insert(parameters.end(), deltas.begin(), deltas.end());
    return {std::move(gradients), std::move(parameters)};
}

}  // namespace normgraph::pass
