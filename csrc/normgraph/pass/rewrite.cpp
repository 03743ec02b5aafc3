#include "normgraph/pass/rewrite.hpp"

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_set>

#include "normgraph/ir/stand_in.hpp"

namespace normgraph::pass {
namespace {

/// The node itself if it reads what it has read.
std::shared_ptr<Node> reading(const std::shared_ptr<Node>& node,
                              const std::vector<Output>& inputs) {
    return inputs == node->input_values()
               ? node
               : node->clone_with_new_inputs(inputs, node->friendly_name());
}

std::string description_of(const Output& value) {
    return std::string(value.name()) + " of " + value.node()->description() + " '" +
           value.node()->friendly_name() + "'";
}

void check_are_of(const Function& function, const ReplacedValues& replaced) {
    std::unordered_set<const Node*> known;
    for (const std::shared_ptr<Node>& node : function.nodes()) {
        known.insert(node.get());
    }
    // Any of them is named: which one is first depends on addresses.
    for (const auto& [value, replacement] : replaced) {
        if (!known.contains(value.node().get())) {
            throw std::invalid_argument("replaced: expected values of '" +
                                        function.friendly_name() + "', got " +
                                        description_of(value));
        }
    }
}

}  // namespace

const Output& NewValues::of(const Output& original) const {
    const auto found = values_.find(original.node().get());
    if (found == values_.end()) {
        throw std::invalid_argument("expected a value of a node that has been gone through, got " +
                                    description_of(original));
    }
    return found->second[original.index()];
}

std::vector<Output> NewValues::of(const std::vector<Output>& originals) const {
    std::vector<Output> values;
    values.reserve(originals.size());
    for (const Output& original : originals) {
        values.push_back(of(original));
    }
    return values;
}

Function rewrite(const Function& function, const Replacement& replacement) {
    NewValues values;
    for (const std::shared_ptr<Node>& original : function.nodes()) {
        const std::shared_ptr<Node> node = reading(original, values.of(original->input_values()));
        std::optional<std::vector<Output>> replaced = replacement(*original, *node, values);
        if (replaced) {
            check_stand_in("replacement", *node, *replaced);
        }
        values.values_.emplace(original.get(), replaced ? *std::move(replaced) : node->outputs());
    }
    return {values.of(function.results()), function.parameters(), function.friendly_name()};
}

Function replace_values(const Function& function, const ReplacedValues& replaced) {
    check_are_of(function, replaced);
    return rewrite(function, [&](Node& original, Node& node, const NewValues& /*values*/) {
        std::optional<std::vector<Output>> values;
        for (std::size_t index = 0; index < original.output_names().size(); ++index) {
            const auto found = replaced.find(original.output(index));
            if (found != replaced.end()) {
                values = values ? std::move(values) : std::optional(node.outputs());
                (*values)[index] = found->second;
            }
        }
        return values;
    });
}

}  // namespace normgraph::pass
