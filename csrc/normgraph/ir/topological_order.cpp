#include "normgraph/ir/topological_order.hpp"

#include <cstddef>
#include <unordered_set>

namespace normgraph {

namespace {

/// A node on the path from a root, and the first of its inputs that was not followed yet.
struct Step {
    std::shared_ptr<Node> node;
    std::size_t next_input = 0;
};

}  // namespace

std::vector<std::shared_ptr<Node>> topological_order(std::span<const Output> roots) {
    std::vector<std::shared_ptr<Node>> order;
    std::unordered_set<const Node*> seen;
    std::vector<Step> path;
    const auto follow = [&](const std::shared_ptr<Node>& node) {
        if (seen.insert(node.get()).second) {
            path.push_back({node});
        }
    };
    for (const Output& root : roots) {
        follow(root.node());
        while (!path.empty()) {
            Step& step = path.back();
            const std::vector<Output>& inputs = step.node->input_values();
            if (step.next_input < inputs.size()) {
                follow(inputs[step.next_input++].node());
            } else {
                order.push_back(std::move(step.node));
                path.pop_back();
            }
        }
    }
    return order;
}

}  // namespace normgraph
