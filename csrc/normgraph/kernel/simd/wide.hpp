#pragma once

namespace normgraph::kernel::simd {

/// As many doubles as one vector of floats has elements.
template <typename Double>
struct Wide {
    Double low, high;
};

}  // namespace normgraph::kernel::simd
