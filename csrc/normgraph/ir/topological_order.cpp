#include "normgraph/ir/topological_order.hpp"

#include <cstddef>
#include <unordered_set>

#include "normgraph/ir/output_hash.hpp"

namespace normgraph {

namespace {

/// A node on the path from a root, and the first of its inputs that was not followed yet.
struct Step {
    std::shared_ptr<Node> node;
    std::size_t next_input = 0;
};

}  // namespace

std::vector<std::shared_ptr<Node>> topological_order(std::span<const Output> roots,
                                                     std::span<const Output> sources) {
    const std::unordered_set<Output, OutputHash> unfollowed(sources.begin(), sources.end());
    std::vector<std::shared_ptr<Node>> order;
    std::unordered_set<const Node*> seen;
    std::vector<Step> path;
    const auto follow = [&](const Output& output) {
        const bool is_source = unfollowed.contains(output);
        if (!is_source && seen.insert(output.node().get()).second) {
            path.push_back({output.node()});
        }
    };
    for (const Output& root : roots) {
        follow(root);
        while (!path.empty()) {
            Step& step = path.back();
            const std::vector<Output>& inputs = step.node->input_values();
            if (step.next_input < inputs.size()) {
                follow(inputs[step.next_input++]);
            } else {
                order.push_back(std::move(step.node));
                path.pop_back();
            }
        }
    }
    return order;
}

}  // namespace normgraph
