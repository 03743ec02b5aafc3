#include "normgraph/kernel/simd/staging/mask_access.hpp"

#include <algorithm>
#include <cstring>

namespace normgraph::kernel::simd {

MaskAccess::MaskAccess(std::byte* address, const Problem& problem, const Geometry& geometry)
    : address_(address),
      layout_(problem),
      is_along_rows_(geometry.is_along_rows()),
      lanes_(geometry.columns_per_channel()),
      row_length_(geometry.order.row_length),
      has_rows_of_whole_bytes_(row_length_ == layout_.inner ||
                               (layout_.outer == 1 && row_length_ % bits_per_byte == 0)),
      is_direct_(is_along_rows_ ? !layout_.along_channels && has_rows_of_whole_bytes_
                                : layout_.along_channels &&
                                      (lanes_ == 1 || layout_.channels % bits_per_byte == 0)) {}

MaskTile MaskAccess::tile(const MaskRegion& region) const {
    if (is_along_rows_) {
        // Where the channel axis is the first, a channel's rows follow each other.
        const std::int64_t row_stride =
            layout_.outer == 1 ? row_length_ / bits_per_byte : layout_.outer_stride;
        return {address_ + region.row * row_stride + region.channel * layout_.channel_stride +
                    region.first / bits_per_byte,
                layout_.channel_stride, row_stride};
    }
    return {address_ + region.first * layout_.outer_stride + region.channel / bits_per_byte, 0,
            lanes_ * layout_.outer_stride};
}

MaskTile MaskAccess::buffer_tile(const MaskRegion& region, std::byte* buffer) const {
    if (is_along_rows_) {
        return {buffer, bytes_for(region.count), 0};
    }
    return {buffer, 0, bytes_for(region.channels * lanes_)};
}

ElementBits MaskAccess::element_rows(const MaskRegion& region, std::byte* buffer) const {
    if (layout_.along_channels) {
        return {address_ + first_element(region) * layout_.outer_stride +
                    region.channel / bits_per_byte,
                layout_.outer_stride};
    }
    const bool are_in_tile = !is_along_rows_ && lanes_ == 1;
    const std::int64_t elements = region.channels * region.count;
    return {are_in_tile ? buffer : buffer + tile_bytes(region.channels, elements),
            bytes_for(region.channels)};
}

ByteRows MaskAccess::byte_rows(const MaskRegion& region) const {
    return {address_ + first_element(region) * layout_.outer_stride +
                region.channel * layout_.channel_stride,
            layout_.outer_stride, region.channels};
}

template <typename Function>
void MaskAccess::for_each_outer(const MaskRegion& region, const ElementBits& rows,
                                const Function& function) const {
    const std::int64_t first = first_element(region);
    for (std::int64_t element = 0; element < region.count;) {
        const std::int64_t outer = (first + element) / layout_.inner;
        const std::int64_t inner = (first + element) % layout_.inner;
        const std::int64_t count = std::min(layout_.inner - inner, region.count - element);
        const ChannelBits bits{
            address_ + outer * layout_.outer_stride + region.channel * layout_.channel_stride,
            layout_.channel_stride, region.channels};
        function(bits, inner, count,
                 ElementBits{rows.address + element * rows.row_stride, rows.row_stride});
        element += count;
    }
}

void MaskAccess::copy_to_buffer(const MaskRegion& region, std::byte* buffer) const {
    const ElementBits rows = element_rows(region, buffer);
    if (!layout_.along_channels && layout_.inner == 1) {
        copy_bits(byte_rows(region), region.count, rows);
    } else if (!layout_.along_channels) {
        for_each_outer(region, rows,
                       [](const ChannelBits& bits, std::int64_t first, std::int64_t count,
                          const ElementBits& some) { copy_bits(bits, first, count, some); });
    }
    if (is_along_rows_) {
        const ChannelBits bits = channel_rows(region, buffer);
        std::memset(buffer, 0, static_cast<std::size_t>(bits.channels * bits.channel_stride));
        copy_bits(rows, bits, 0, region.count);
    } else if (lanes_ > 1) {
        copy_bits(rows, lane_rows(region, buffer), region.count);
    }
}

void MaskAccess::copy_from_buffer(const MaskRegion& region, std::byte* buffer) const {
    const ElementBits rows = element_rows(region, buffer);
    if (is_along_rows_) {
        copy_bits(channel_rows(region, buffer), 0, region.count, rows);
    } else if (lanes_ > 1) {
        copy_bits(lane_rows(region, buffer), region.count, rows);
    }
    if (!layout_.along_channels && layout_.inner == 1) {
        copy_bits(rows, byte_rows(region), region.count);
    } else if (!layout_.along_channels) {
        for_each_outer(region, rows,
                       [](const ChannelBits& bits, std::int64_t first, std::int64_t count,
                          const ElementBits& some) { copy_bits(some, bits, first, count); });
    }
}

}  // namespace normgraph::kernel::simd
