#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace normgraph::kernel {

/// The number of elements along axes of these lengths.
inline std::int64_t product(std::span<const std::int64_t> lengths) {
    std::int64_t result = 1;
    for (const std::int64_t length : lengths) {
        result *= length;
    }
    return result;
}

/// A shape of any rank as [outer, channels, inner].
struct Extents {
    std::int64_t outer;     ///< product of the lengths before the channel axis
    std::int64_t channels;  ///< length of the channel axis
    std::int64_t inner;     ///< product of the lengths after it

    std::int64_t elements_per_channel() const { return outer * inner; }
};

/// 0 <= channel_axis < rank.
inline Extents extents_of(std::span<const std::int64_t> shape, std::int64_t channel_axis) {
    const auto axis = static_cast<std::size_t>(channel_axis);
    return {product(shape.first(axis)), shape[axis], product(shape.subspan(axis + 1))};
}

}  // namespace normgraph::kernel
