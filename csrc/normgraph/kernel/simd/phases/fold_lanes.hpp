#pragma once

#include <cstdint>

#include "normgraph/kernel/summation_order.hpp"

namespace normgraph::kernel::simd {

/// Adds the upper half of the lanes onto the lower half until one is left, in place, and returns
/// its first value. A lane has `width` values side by side. There may be fewer lanes than
/// `largest`, a smaller power of two. The loops' lengths are known to the compiler where width
/// and lanes are.
template <std::int64_t largest = most_lanes>
double fold_lanes(double* values, std::int64_t width = 1, std::int64_t lanes = largest) {
    if constexpr (largest > 1) {
        constexpr std::int64_t half = largest / 2;
        for (std::int64_t index = 0; lanes == largest && index < half * width; ++index) {
            values[index] += values[index + half * width];
        }
        return fold_lanes<half>(values, width, lanes == largest ? half : lanes);
    } else {
        return values[0];
    }
}

}  // namespace normgraph::kernel::simd
