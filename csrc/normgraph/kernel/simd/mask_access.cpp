#include "normgraph/kernel/simd/mask_access.hpp"

#include <algorithm>
#include <cstring>

namespace normgraph::kernel::simd {
namespace {

constexpr std::int64_t byte_bits = 8;

std::int64_t bytes_for(std::int64_t bits) {
    return (bits + byte_bits - 1) / byte_bits;
}

/// Bit j of byte i becomes bit i of byte j (Henry S. Warren, Hacker's Delight, section 7-3: three
/// rounds that swap ever larger blocks across the diagonal).
std::uint64_t transposed(std::uint64_t square) {
    std::uint64_t swapped = (square ^ (square >> 7)) & 0x00AA00AA00AA00AAU;
    square ^= swapped ^ (swapped << 7);
    swapped = (square ^ (square >> 14)) & 0x0000CCCC0000CCCCU;
    square ^= swapped ^ (swapped << 14);
    swapped = (square ^ (square >> 28)) & 0x00000000F0F0F0F0U;
    return square ^ swapped ^ (swapped << 28);
}

}  // namespace

MaskAccess::MaskAccess(std::byte* address, const Problem& problem, LayoutClass layout_class,
                       const SummationOrder& order)
    : address_(address),
      layout_(problem),
      layout_class_(layout_class),
      lanes_(layout_class == LayoutClass::channels_last ? order.lanes : 1),
      row_length_(order.row_length) {
    if (layout_class == LayoutClass::channels_first) {
        is_direct_ = !layout_.along_channels && row_length_ == layout_.inner;
    } else {
        is_direct_ = layout_.along_channels && lanes_ == 1;
    }
}

MaskTile MaskAccess::tile(const MaskRegion& region) const {
    if (layout_class_ == LayoutClass::channels_first) {
        return {address_ + region.row * layout_.outer_stride +
                    region.channel * layout_.channel_stride + region.first / byte_bits,
                layout_.channel_stride, layout_.outer_stride};
    }
    return {address_ + region.first * layout_.outer_stride + region.channel / byte_bits, 0,
            layout_.outer_stride};
}

MaskTile MaskAccess::buffer_tile(const MaskRegion& region, std::byte* buffer) const {
    if (layout_class_ == LayoutClass::channels_first) {
        return {buffer, bytes_for(region.count), 0};
    }
    return {buffer, 0, bytes_for(region.channels * lanes_)};
}

template <typename Function>
void MaskAccess::for_each_bit(const MaskRegion& region, const Function& function) const {
    const MaskTile buffer = buffer_tile(region, nullptr);
    const bool along_rows = layout_class_ == LayoutClass::channels_first;
    for (std::int64_t element = 0; element < region.count; ++element) {
        const std::int64_t index = region.row * row_length_ + region.first + element;
        for (std::int64_t channel = 0; channel < region.channels; ++channel) {
            const ReluMaskBit bit = layout_.bit_of(index / layout_.inner, region.channel + channel,
                                                   index % layout_.inner);
            const std::int64_t column =
                along_rows ? element : element % lanes_ * region.channels + channel;
            const std::int64_t row =
                along_rows ? channel * buffer.channel_stride : element / lanes_ * buffer.row_stride;
            function(bit.byte, bit.bit, row + column / byte_bits,
                     static_cast<int>(column % byte_bits));
        }
    }
}

bool MaskAccess::lies_across() const {
    return layout_class_ == LayoutClass::channels_last && lanes_ == 1 && !layout_.along_channels;
}

template <bool to_buffer>
void MaskAccess::copy_squares(const MaskRegion& region, std::byte* buffer) const {
    const std::int64_t buffer_row = bytes_for(region.channels);
    std::int64_t element = 0;
    while (element < region.count) {
        const std::int64_t outer = (region.first + element) / layout_.inner;
        const std::int64_t inner = (region.first + element) % layout_.inner;
        const std::int64_t shift = inner % byte_bits;
        const std::int64_t elements =
            std::min({byte_bits - shift, layout_.inner - inner, region.count - element});
        for (std::int64_t channel = 0; channel < region.channels; channel += byte_bits) {
            const std::int64_t channels = std::min(byte_bits, region.channels - channel);
            std::byte* const mask = address_ + outer * layout_.outer_stride +
                                    (region.channel + channel) * layout_.channel_stride +
                                    inner / byte_bits;
            std::byte* const rows = buffer + element * buffer_row + channel / byte_bits;
            std::uint64_t square = 0;
            if constexpr (to_buffer) {
                for (std::int64_t c = 0; c < channels; ++c) {
                    square |= static_cast<std::uint64_t>(mask[c * layout_.channel_stride])
                              << (byte_bits * c);
                }
                square = transposed(square) >> (byte_bits * shift);
                for (std::int64_t e = 0; e < elements; ++e) {
                    rows[e * buffer_row] = static_cast<std::byte>(square >> (byte_bits * e));
                }
            } else {
                for (std::int64_t e = 0; e < elements; ++e) {
                    square |= static_cast<std::uint64_t>(rows[e * buffer_row])
                              << (byte_bits * (shift + e));
                }
                square = transposed(square);
                for (std::int64_t c = 0; c < channels; ++c) {
                    std::byte& byte = mask[c * layout_.channel_stride];
                    // Its other bits belong to other regions.
                    byte |= static_cast<std::byte>(square >> (byte_bits * c));
                }
            }
        }
        element += elements;
    }
}

void MaskAccess::copy_to_buffer(const MaskRegion& region, std::byte* buffer) const {
    if (lies_across()) {
        return copy_squares<true>(region, buffer);
    }
    std::memset(buffer, 0, static_cast<std::size_t>(buffer_bytes(region.channels, region.count)));
    for_each_bit(region, [&](std::int64_t byte, int bit, std::int64_t to, int to_bit) {
        const bool is_set = (address_[byte] >> bit & std::byte{1}) != std::byte{0};
        buffer[to] |= is_set ? std::byte{1} << to_bit : std::byte{0};
    });
}

void MaskAccess::copy_from_buffer(const MaskRegion& region, const std::byte* buffer) const {
    if (lies_across()) {
        return copy_squares<false>(region, const_cast<std::byte*>(buffer));
    }
    for_each_bit(region, [&](std::int64_t byte, int bit, std::int64_t from, int from_bit) {
        const bool is_set = (buffer[from] >> from_bit & std::byte{1}) != std::byte{0};
        address_[byte] |= is_set ? std::byte{1} << bit : std::byte{0};
    });
}

}  // namespace normgraph::kernel::simd
