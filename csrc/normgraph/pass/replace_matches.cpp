#include "normgraph/pass/replace_matches.hpp"

#include <cstddef>
#include <vector>

#include "normgraph/ir/users.hpp"
#include "normgraph/pass/rewrite.hpp"

namespace normgraph::pass {

Function replace_matches(const Function& function, const Pattern& pattern,
                         const MatchReplacement& replacement) {
    const Users users(function);
    return rewrite(function, [&](Node& original, Node& node, const NewValues& values) {
        const auto new_value = [&](const Output& value) {
            return value.node().get() == &original ? node.output(value.index()) : values.of(value);
        };
        std::optional<std::vector<Output>> replaced;
        for (const Output& value : original.outputs()) {
            const std::optional<Match> match = pattern.match(value, &users);
            const std::optional<Output> made =
                match ? replacement(match->with_values(new_value)) : std::nullopt;
            if (made) {
                replaced = replaced ? std::move(replaced) : std::optional(node.outputs());
                (*replaced)[value.index()] = *made;
            }
        }
        return replaced;
    });
}

}  // namespace normgraph::pass
