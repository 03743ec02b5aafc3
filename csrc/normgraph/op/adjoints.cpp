#include "normgraph/op/adjoints.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "normgraph/ir/topological_order.hpp"
#include "normgraph/op/expressions.hpp"

namespace normgraph::op {
namespace {

/// The gradients that have arrived so far; those of the sources go no further.
class Accumulator {
public:
    explicit Accumulator(std::span<const Output> sources)
        : sources_(sources), of_sources_(sources.size()) {}

    void add(const Output& output, const Output& delta) {
        const auto source = std::ranges::find(sources_, output);
        std::optional<Output>& sum =
            source == sources_.end()
                ? sums_[key_of(output)]
                : of_sources_[static_cast<std::size_t>(source - sources_.begin())];
        sum = sum ? *sum + delta : delta;
    }

    /// Of a node all of whose readers have been gone through.
    Deltas of_outputs(Node& node) const {
        Deltas deltas;
        for (const Output& output : node.outputs()) {
            const auto sum = sums_.find(key_of(output));
            deltas.push_back(sum == sums_.end() ? std::nullopt : sum->second);
        }
        return deltas;
    }

    const Deltas& of_sources() const { return of_sources_; }

private:
    using Key = std::pair<const Node*, std::size_t>;
    static Key key_of(const Output& output) { return {output.node().get(), output.index()}; }

    std::span<const Output> sources_;
    Deltas of_sources_;
    std::map<Key, std::optional<Output>> sums_;  // never gone through: addresses order nothing
};

/// Which outputs depend on the sources.
class Activity {
public:
    Activity(std::span<const Output> sources, std::span<const std::shared_ptr<Node>> order)
        : sources_(sources) {
        for (const std::shared_ptr<Node>& node : order) {
            if (std::ranges::any_of(node->input_values(),
                                    [&](const Output& input) { return is_active(input); })) {
                active_.insert(node.get());
            }
        }
    }

    bool is_active(const Output& output) const {
        return std::ranges::find(sources_, output) != sources_.end() || is_active(*output.node());
    }
    bool is_active(const Node& node) const { return active_.contains(&node); }

private:
    std::span<const Output> sources_;
    std::unordered_set<const Node*> active_;
};

}  // namespace

Deltas propagate_adjoints(std::span<const Output> roots, const Deltas& deltas,
                          std::span<const Output> sources) {
    std::vector<std::shared_ptr<Node>> order = topological_order(roots, sources);
    const Activity activity(sources, order);
    Accumulator sums(sources);
    for (std::size_t index = 0; index < roots.size(); ++index) {
        if (deltas[index]) {
            sums.add(roots[index], *deltas[index]);
        }
    }
    // In place: Clang 14 and 15 refuse std::views::reverse of GCC's library.
    std::ranges::reverse(order);
    for (const std::shared_ptr<Node>& node : order) {
        if (!activity.is_active(*node)) {
            continue;
        }
        const Deltas adjoints = node->generate_adjoints(sums.of_outputs(*node));
        for (std::size_t index = 0; index < adjoints.size(); ++index) {
            const Output& input = node->input_values()[index];
            if (adjoints[index] && activity.is_active(input)) {
                sums.add(input, *adjoints[index]);
            }
        }
    }
    return sums.of_sources();
}

Deltas adjoints_of_decomposition(Node& node, const Deltas& deltas) {
    const std::vector<Output> outputs = node.decompose(element::f64).value();
    return propagate_adjoints(outputs, deltas, node.input_values());
}

}  // namespace normgraph::op
