#pragma once

#include <array>
#include <cstddef>

namespace normgraph::kernel::simd {

/// Vectors with as many doubles as one vector of floats has elements.
template <typename Double, std::size_t parts = 2>
using Wide = std::array<Double, parts>;

}  // namespace normgraph::kernel::simd
