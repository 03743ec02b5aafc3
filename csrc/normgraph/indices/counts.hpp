#pragma once

#include <cstdint>

/// Counts of elements, bits and bytes.
namespace normgraph {

/// The quotient, rounded up; value >= 0, divisor > 0. No intermediate result overflows.
constexpr std::int64_t divide_up(std::int64_t value, std::int64_t divisor) {
    return value / divisor + (value % divisor != 0 ? 1 : 0);
}

/// The next multiple, or the value itself if it is one.
constexpr std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
    return divide_up(value, multiple) * multiple;
}

inline constexpr std::int64_t bits_per_byte = 8;

/// The bytes that hold so many bits.
constexpr std::int64_t bytes_for(std::int64_t bits) {
    return divide_up(bits, bits_per_byte);
}

}  // namespace normgraph
