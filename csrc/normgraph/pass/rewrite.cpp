#include "normgraph/pass/rewrite.hpp"

#include <cstddef>
#include <memory>
#include <unordered_map>

namespace normgraph::pass {
namespace {

/// The values that stand for the outputs of the original's nodes.
class NewValues {
public:
    Output of(const Output& output) const {
        return values_.at(output.node().get())[output.index()];
    }

    std::vector<Output> of(const std::vector<Output>& outputs) const {
        std::vector<Output> values;
        values.reserve(outputs.size());
        for (const Output& output : outputs) {
            values.push_back(of(output));
        }
        return values;
    }

    void set(const Node& node, std::vector<Output> values) {
        values_.emplace(&node, std::move(values));
    }

private:
    std::unordered_map<const Node*, std::vector<Output>> values_;
};

/// The node itself if it reads what it has read.
std::shared_ptr<Node> reading(const std::shared_ptr<Node>& node,
                              const std::vector<Output>& inputs) {
    return inputs == node->input_values()
               ? node
               : node->clone_with_new_inputs(inputs, node->friendly_name());
}

}  // namespace

Function rewrite(const Function& function, const Replacement& replacement) {
    NewValues values;
    const std::size_t parameter_count = function.parameters().size();
    for (std::size_t index = 0; index < function.nodes().size(); ++index) {
        const std::shared_ptr<Node>& original = function.nodes()[index];
        const std::shared_ptr<Node> node = reading(original, values.of(original->input_values()));
        const bool is_parameter = index < parameter_count;
        std::optional<std::vector<Output>> replaced =
            is_parameter ? std::nullopt : replacement(*original, *node);
        values.set(*original, replaced ? *std::move(replaced) : node->outputs());
    }
    return {values.of(function.results()), function.parameters(), function.friendly_name()};
}

}  // namespace normgraph::pass
