#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/indices/counts.hpp"

/// Bits that lie along channels, to and from bits that lie along elements.
namespace normgraph::kernel::simd {

/// Bits of each channel's elements, from element 0 on, the first in the least significant bit.
struct ChannelBits {
    std::byte* address;
    std::int64_t channel_stride;
    std::int64_t channels;
    std::int64_t elements;  ///< of a channel
};

/// Rows of `lanes` elements each: all channels of the first, all of the second, …, as many rows as
/// there are bytes. If `lanes` is not 1, rows have at most 32 bits, and so many are accessible in
/// the last one.
struct ElementBits {
    std::byte* address;
    std::int64_t lanes;
};

/// Copies the bits of elements [first, first + count) of each channel. `position`: where the first
/// one is among those of `to`. All earlier ones have been written before; padding is 0 afterwards.
void copy_bits(const ChannelBits& from, std::int64_t first, std::int64_t count,
               const ElementBits& to, std::int64_t position);

/// Copies bits the other way round. Sets bits, and clears none.
void copy_bits(const ElementBits& from, std::int64_t position, const ChannelBits& to,
               std::int64_t first, std::int64_t count);

}  // namespace normgraph::kernel::simd
