#pragma once

#include <functional>
#include <optional>

#include "normgraph/ir/function.hpp"
#include "normgraph/pass/pattern.hpp"

namespace normgraph::pass {

/// The value that takes the place of the matched one; nullopt to leave it. It is made of the
/// match's values, which are those of the new function; the matched value itself is there as its
/// node is without the replacement.
using MatchReplacement = std::function<std::optional<Output>(const Match& match)>;

/// The function with each value replaced that matches the pattern and that `replacement` has
/// something for. Patterns are compared with the function as it was: matches may overlap, and what
/// is made is not matched again. What nobody reads any more is not part of the new function.
///
/// Throws what Pattern::match, `replacement` and `rewrite` throw.
Function replace_matches(const Function& function, const Pattern& pattern,
                         const MatchReplacement& replacement);

}  // namespace normgraph::pass
