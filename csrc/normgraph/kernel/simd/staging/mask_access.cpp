#include "normgraph/kernel/simd/staging/mask_access.hpp"

#include <algorithm>
#include <cstring>

#include "normgraph/kernel/simd/staging/copy_bits.hpp"

namespace normgraph::kernel::simd {

MaskAccess::MaskAccess(std::byte* address, const Problem& problem, const Geometry& geometry)
    : address_(address),
      layout_(problem),
      is_along_rows_(geometry.is_along_rows()),
      lanes_(geometry.columns_per_channel()),
      row_length_(geometry.order.row_length),
      is_direct_(is_along_rows_ ? !layout_.along_channels && row_length_ == layout_.inner
                                : layout_.along_channels && lanes_ == 1) {}

MaskTile MaskAccess::tile(const MaskRegion& region) const {
    if (is_along_rows_) {
        return {address_ + region.row * layout_.outer_stride +
                    region.channel * layout_.channel_stride + region.first / bits_per_byte,
                layout_.channel_stride, layout_.outer_stride};
    }
    return {address_ + region.first * layout_.outer_stride + region.channel / bits_per_byte, 0,
            layout_.outer_stride};
}

MaskTile MaskAccess::buffer_tile(const MaskRegion& region, std::byte* buffer) const {
    if (is_along_rows_) {
        return {buffer, bytes_for(region.count), 0};
    }
    return {buffer, 0, bytes_for(region.channels * lanes_)};
}

template <typename Function>
void MaskAccess::for_each_bit(const MaskRegion& region, const Function& function) const {
    const MaskTile buffer = buffer_tile(region, nullptr);
    for (std::int64_t element = 0; element < region.count; ++element) {
        const std::int64_t index = region.row * row_length_ + region.first + element;
        for (std::int64_t channel = 0; channel < region.channels; ++channel) {
            const ReluMaskBit bit = layout_.bit_of(index / layout_.inner, region.channel + channel,
                                                   index % layout_.inner);
            const std::int64_t column =
                is_along_rows_ ? element : element % lanes_ * region.channels + channel;
            const std::int64_t row = is_along_rows_ ? channel * buffer.channel_stride
                                                    : element / lanes_ * buffer.row_stride;
            function(bit.byte, bit.bit, row + column / bits_per_byte,
                     static_cast<int>(column % bits_per_byte));
        }
    }
}

bool MaskAccess::lies_across() const {
    return !is_along_rows_ && !layout_.along_channels;
}

template <typename Function>
void MaskAccess::for_each_outer(const MaskRegion& region, const Function& function) const {
    for (std::int64_t element = 0; element < region.count;) {
        const std::int64_t outer = (region.first + element) / layout_.inner;
        const std::int64_t inner = (region.first + element) % layout_.inner;
        const std::int64_t count = std::min(layout_.inner - inner, region.count - element);
        const ChannelBits bits{
            address_ + outer * layout_.outer_stride + region.channel * layout_.channel_stride,
            layout_.channel_stride, region.channels, layout_.inner};
        function(bits, inner, count, element);
        element += count;
    }
}

void MaskAccess::copy_to_buffer(const MaskRegion& region, std::byte* buffer) const {
    if (lies_across()) {
        for_each_outer(region, [&](const ChannelBits& bits, std::int64_t first, std::int64_t count,
                                   std::int64_t element) {
            copy_bits(bits, first, count, {buffer, lanes_}, element);
        });
        return;
    }
    std::memset(buffer, 0, static_cast<std::size_t>(buffer_bytes(region.channels, region.count)));
    for_each_bit(region, [&](std::int64_t byte, int bit, std::int64_t to, int to_bit) {
        const bool is_set = (address_[byte] >> bit & std::byte{1}) != std::byte{0};
        buffer[to] |= is_set ? std::byte{1} << to_bit : std::byte{0};
    });
}

void MaskAccess::copy_from_buffer(const MaskRegion& region, const std::byte* buffer) const {
    if (lies_across()) {
        for_each_outer(region, [&](const ChannelBits& bits, std::int64_t first, std::int64_t count,
                                   std::int64_t element) {
            copy_bits({const_cast<std::byte*>(buffer), lanes_}, element, bits, first, count);
        });
        return;
    }
    for_each_bit(region, [&](std::int64_t byte, int bit, std::int64_t from, int from_bit) {
        const bool is_set = (buffer[from] >> from_bit & std::byte{1}) != std::byte{0};
        address_[byte] |= is_set ? std::byte{1} << bit : std::byte{0};
    });
}

}  // namespace normgraph::kernel::simd
