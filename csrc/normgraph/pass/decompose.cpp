#include "normgraph/pass/decompose.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "normgraph/pass/rewrite.hpp"
#include "normgraph/pass/widen_statistics.hpp"

namespace normgraph::pass {
namespace {

/// Decompositions may be made of ops that have some; those of one that is made of itself end here.
constexpr int most_rounds = 64;

void refuse_endless(const Node& node) {
    throw std::invalid_argument(node.description() + " '" + node.friendly_name() +
                                "': expected a decomposition into simpler nodes, got " +
                                std::to_string(most_rounds) + " inside of each other");
}

}  // namespace

Function decompose_if(const Function& function, element::Type compute_type,
                      const std::function<bool(const Node& node)>& is_replaced) {
    Function current = function;
    bool has_changed =
        std::ranges::any_of(function.nodes(), [&](const auto& node) { return is_replaced(*node); });
    for (int round = 0; has_changed; ++round) {
        has_changed = false;
        current = rewrite(current, [&](Node& /*original*/, Node& node, const NewValues&) {
            std::optional<std::vector<Output>> parts;
            if (is_replaced(node)) {
                parts = node.decompose(compute_type);
            }
            if (parts && round == most_rounds) {
                refuse_endless(node);
            }
            has_changed = has_changed || parts;
            return parts;
        });
    }
    return current;
}

Function decompose(const Function& function, element::Type compute_type) {
    if (compute_type.is_static() && !compute_type.is_real()) {
        throw std::invalid_argument("compute_type: expected f16, bf16, f32 or f64, got " +
                                    std::string(compute_type.name()));
    }
    // What is computed in more than 16 bits is not to be rounded to them between the ops.
    const bool is_wide = compute_type.size() >= element::f32.size();
    return decompose_if(is_wide ? widen_statistics(function) : function, compute_type,
                        [](const Node& /*node*/) { return true; });
}

}  // namespace normgraph::pass
