#include "normgraph/pass/decompose.hpp"

#include <stdexcept>
#include <string>

#include "normgraph/pass/rewrite.hpp"
#include "normgraph/pass/widen_statistics.hpp"

namespace normgraph::pass {

Function decompose(const Function& function, element::Type compute_type) {
    if (compute_type.is_static() && !compute_type.is_real()) {
        throw std::invalid_argument("compute_type: expected f16, bf16, f32 or f64, got " +
                                    std::string(compute_type.name()));
    }
    // What is computed in more than 16 bits is not to be rounded to them between the ops.
    const bool is_wide = compute_type.size() >= element::f32.size();
    return rewrite(
        is_wide ? widen_statistics(function) : function,
        [&](const Node& /*original*/, Node& node) { return node.decompose(compute_type); });
}

}  // namespace normgraph::pass
