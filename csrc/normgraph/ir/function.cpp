#include "normgraph/ir/function.hpp"

#include <cstddef>
#include <stdexcept>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "normgraph/ir/distinct_names.hpp"
#include "normgraph/ir/print_node.hpp"
#include "normgraph/ir/text.hpp"
#include "normgraph/ir/topological_order.hpp"

namespace normgraph {

namespace {

/// Prints the attributes that a node's output types do not show already.
class AttributePrinter final : public AttributeVisitor {
public:
    void on_attribute(std::string_view name, double value) override {
        add(name, format_number(value));
    }
    void on_attribute(std::string_view name, std::int64_t value) override {
        add(name, std::to_string(value));
    }
    void on_attribute(std::string_view name, bool value) override {
        add(name, value ? "true" : "false");
    }
    void on_attribute(std::string_view name, const std::vector<std::int64_t>& value) override {
        std::vector<std::string> axes;
        for (const std::int64_t axis : value) {
            axes.push_back(std::to_string(axis));
        }
        add(name, "{" + join(axes, ",") + "}");
    }
    void on_attribute(std::string_view name, const std::string& value) override {
        add(name, "'" + value + "'");
    }
    void on_attribute(std::string_view /*name*/, element::Type /*value*/) override {}
    void on_attribute(std::string_view /*name*/, const PartialShape& /*value*/) override {}
    void on_attribute(std::string_view /*name*/, std::span<const std::byte> /*value*/) override {}

    /// " [epsilon=1e-05, channel_axis=1]"; empty for no attributes.
    std::string text() const { return parts_.empty() ? "" : " [" + join(parts_, ", ") + "]"; }

private:
    void add(std::string_view name, const std::string& value) {
        parts_.push_back(std::string(name) + "=" + value);
    }

    std::vector<std::string> parts_;
};

/// Names that tell the nodes of one function apart: the friendly name, "x#2" for a second "x".
std::unordered_map<const Node*, std::string> distinct_names(
    const std::vector<std::shared_ptr<Node>>& nodes) {
    std::unordered_map<const Node*, std::string> names;
    DistinctNames distinct;
    for (const std::shared_ptr<Node>& node : nodes) {
        names.emplace(node.get(), distinct.take(node->friendly_name()));
    }
    return names;
}

}  // namespace

Function::Function(std::vector<Output> results, std::vector<std::shared_ptr<Parameter>> parameters,
                   std::string friendly_name)
    : results_{std::move(results)},
      parameters_{std::move(parameters)},
      friendly_name_{std::move(friendly_name)} {
    if (results_.empty()) {
        throw std::invalid_argument("the results of a Function: expected at least one, got none");
    }
    check_parameters_are_distinct();
    collect_nodes();
}

void Function::check_parameters_are_distinct() const {
    std::unordered_map<const Parameter*, std::size_t> positions;
    for (std::size_t position = 0; position < parameters_.size(); ++position) {
        const Parameter* const parameter = parameters_[position].get();
        if (parameter == nullptr) {
            throw std::invalid_argument("the parameters of a Function: expected nodes, got null");
        }
        const auto [first, is_new] = positions.emplace(parameter, position);
        if (!is_new) {
            throw std::invalid_argument("the parameters of a Function: expected each once, got '" +
                                        parameter->friendly_name() + "' at positions " +
                                        std::to_string(first->second) + " and " +
                                        std::to_string(position));
        }
    }
}

void Function::collect_nodes() {
    nodes_.assign(parameters_.begin(), parameters_.end());
    const std::unordered_set<std::shared_ptr<Node>> listed(nodes_.begin(), nodes_.end());
    std::vector<std::string> unlisted;
    for (std::shared_ptr<Node>& node : topological_order(results_)) {
        if (listed.contains(node)) {
            continue;
        }
        if (dynamic_cast<const Parameter*>(node.get()) != nullptr) {
            unlisted.push_back("'" + node->friendly_name() + "'");
        }
        nodes_.push_back(std::move(node));
    }
    if (!unlisted.empty()) {
        throw std::invalid_argument(
            "the parameters of a Function: expected all that the results depend on, but " +
            join_as_sentence(unlisted, "and") + (unlisted.size() == 1 ? " is" : " are") +
            " not listed");
    }
}

void Function::validate_nodes_and_infer_types() {
    std::unordered_map<Node*, std::vector<TensorType>> inferred;
    for (const std::shared_ptr<Node>& node : nodes_) {
        std::vector<TensorType> inputs;
        for (const Output& input : node->input_values()) {
            inputs.push_back(inferred.at(input.node().get())[input.index()]);
        }
        inferred.emplace(node.get(), node->infer_output_types(inputs));
    }
    // NOLINTNEXTLINE(bugprone-nondeterministic-pointer-iteration-order): each node on its own
    for (auto& [node, types] : inferred) {
        // All nodes are valid, and the swap cannot fail: from here on nothing is half done.
        node->output_types_.swap(types);
    }
}

std::string Function::to_string() const {
    const std::unordered_map<const Node*, std::string> names = distinct_names(nodes_);
    const NodeNaming name_of = [&](const Node& node) { return names.at(&node); };
    std::string text = "Function '" + friendly_name() + "'\n";
    for (const std::shared_ptr<Node>& node : nodes_) {
        AttributePrinter attributes;
        node->visit_attributes(attributes);
        text +=
            "  " + name_of(*node) + " = " + print_node(*node, name_of, attributes.text()) + "\n";
    }
    std::vector<std::string> results;
    for (const Output& result : results_) {
        results.push_back(print_output(result, name_of));
    }
    return text + "  return " + join(results, ", ");
}

}  // namespace normgraph
