#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace normgraph {

/// A tensor has fewer elements than this, so that no number of bytes, bits or operations that is
/// computed from theirs overflows. Messages call it 2^56.
inline constexpr std::int64_t element_limit = std::int64_t{1} << 56;

/// Whether axes of these lengths have fewer elements than element_limit.
inline bool is_within_element_limit(std::span<const std::int64_t> shape) {
    if (std::ranges::find(shape, 0) != shape.end()) {
        return true;
    }
    std::int64_t count = 1;
    for (const std::int64_t length : shape) {
        if (count > (element_limit - 1) / length) {
            return false;
        }
        count *= length;
    }
    return true;
}

}  // namespace normgraph
