#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/indices/counts.hpp"

/// Bits of channels and elements, from one arrangement to another. Rows of each element stand
/// between all others: a row is whole bytes.
namespace normgraph::kernel::simd {

/// Bits of each channel's elements, from element 0 on, the first in the least significant bit.
struct ChannelBits {
    std::byte* address;
    std::int64_t channel_stride;
    std::int64_t channels;
};

/// A row for each element, whose bits are those of the channels, the first in the least significant
/// bit. Padding is written as 0, and may be anything where it is read.
struct ElementBits {
    std::byte* address;
    std::int64_t row_stride;
};

/// Rows of 2, 4, 8, 16 or 32 elements each: all channels of the first, all of the second, …; at
/// most 64 bits. So many are accessible in the last row.
struct LaneBits {
    std::byte* address;
    std::int64_t lanes, channels;
};

/// A row for each element, whose bytes are 1 or 0 for each channel.
struct ByteRows {
    std::byte* address;
    std::int64_t row_stride;
    std::int64_t channels;
};

/// Copies the bits of elements [first, first + count) of each channel.
void copy_bits(const ChannelBits& from, std::int64_t first, std::int64_t count,
               const ElementBits& to);
/// Copies bits the other way round. Sets bits, and clears none.
void copy_bits(const ElementBits& from, const ChannelBits& to, std::int64_t first,
               std::int64_t count);

/// Copies the bits of `count` elements, whose rows follow each other.
void copy_bits(const LaneBits& from, std::int64_t count, const ElementBits& to);
void copy_bits(const ElementBits& from, const LaneBits& to, std::int64_t count);

void copy_bits(const ByteRows& from, std::int64_t count, const ElementBits& to);
void copy_bits(const ElementBits& from, const ByteRows& to, std::int64_t count);

}  // namespace normgraph::kernel::simd
