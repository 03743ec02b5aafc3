#include "normgraph/op/adjoints.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "normgraph/ir/output_hash.hpp"
#include "normgraph/ir/stand_in.hpp"
#include "normgraph/ir/topological_order.hpp"
#include "normgraph/op/expressions.hpp"

namespace normgraph::op {
namespace {

/// By source: its first place among them.
using Places = std::unordered_map<Output, std::size_t, OutputHash>;

Places places_of(std::span<const Output> sources) {
    Places places;
    for (std::size_t index = 0; index < sources.size(); ++index) {
        places.try_emplace(sources[index], index);
    }
    return places;
}

/// The gradients that have arrived so far; those of the sources go no further.
class Accumulator {
public:
    Accumulator(const Places& places, std::size_t source_count)
        : places_(places), of_sources_(source_count) {}

    void add(const Output& output, const Output& delta) {
        const auto source = places_.find(output);
        std::optional<Output>& sum =
            source == places_.end() ? sums_[output] : of_sources_[source->second];
        sum = sum ? *sum + delta : delta;
    }

    /// Of a node all of whose readers have been gone through.
    Deltas of_outputs(Node& node) const {
        Deltas deltas;
        for (const Output& output : node.outputs()) {
            const auto sum = sums_.find(output);
            deltas.push_back(sum == sums_.end() ? std::nullopt : sum->second);
        }
        return deltas;
    }

    const Deltas& of_sources() const { return of_sources_; }

private:
    const Places& places_;
    Deltas of_sources_;
    // Never gone through: addresses order nothing.
    std::unordered_map<Output, std::optional<Output>, OutputHash> sums_;
};

/// Which outputs depend on the sources.
class Activity {
public:
    Activity(const Places& places, std::span<const std::shared_ptr<Node>> order) : places_(places) {
        for (const std::shared_ptr<Node>& node : order) {
            if (std::ranges::any_of(node->input_values(),
                                    [&](const Output& input) { return is_active(input); })) {
                active_.insert(node.get());
            }
        }
    }

    bool is_active(const Output& output) const {
        return places_.contains(output) || is_active(*output.node());
    }
    bool is_active(const Node& node) const { return active_.contains(&node); }

private:
    const Places& places_;
    std::unordered_set<const Node*> active_;
};

/// Decompositions whose nodes are differentiated by their decompositions in turn. The constructor
/// throws where these have no end.
class NestedDecomposition {
public:
    explicit NestedDecomposition(const Node& node) {
        if (depth == most) {
            throw std::invalid_argument(node.description() + " '" + node.friendly_name() +
                                        "': expected a decomposition into simpler nodes, got " +
                                        std::to_string(most) + " inside of each other");
        }
        ++depth;
    }
    ~NestedDecomposition() { --depth; }
    NestedDecomposition(const NestedDecomposition&) = delete;
    NestedDecomposition& operator=(const NestedDecomposition&) = delete;

private:
    static constexpr int most = 64;
    inline static thread_local int depth = 0;
};

Deltas adjoints_of(Node& node, const Deltas& deltas) {
    std::optional<Deltas> adjoints = node.find_adjoints(deltas);
    return adjoints ? *std::move(adjoints) : adjoints_of_decomposition(node, deltas);
}

}  // namespace

Deltas propagate_adjoints(std::span<const Output> roots, const Deltas& deltas,
                          std::span<const Output> sources) {
    std::vector<std::shared_ptr<Node>> order = topological_order(roots, sources);
    const Places places = places_of(sources);
    const Activity activity(places, order);
    Accumulator sums(places, sources.size());
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
        const Deltas adjoints = adjoints_of(*node, sums.of_outputs(*node));
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
    const NestedDecomposition nested(node);
    const std::optional<std::vector<Output>> outputs = node.decompose(element::f64);
    if (!outputs) {
        throw std::invalid_argument(node.description() + " '" + node.friendly_name() +
                                    "' has no derivative");
    }
    check_stand_in("decomposition", node, *outputs);
    return propagate_adjoints(*outputs, deltas, node.input_values());
}

}  // namespace normgraph::op
