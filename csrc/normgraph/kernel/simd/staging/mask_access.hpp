#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/relu_mask.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/staging/copy_bits.hpp"
#include "normgraph/kernel/simd/tiling/geometry.hpp"

/// The bits of a ReLU's mask as micro-kernels take them: along the rows they walk.
namespace normgraph::kernel::simd {

/// Elements [first, first + count) of row `row`, of channels [channel, channel + channels). What
/// the mask is packed along begins at a multiple of 8 where the mask is used directly; so does
/// `channel` where channels share bytes.
struct MaskRegion {
    std::int64_t channel, channels;
    std::int64_t row;
    std::int64_t first, count;
};

class MaskAccess {
public:
    MaskAccess(std::byte* address, const Problem& problem, const Geometry& geometry);

    std::int64_t byte_count() const { return layout_.byte_count(); }
    std::byte* address() const { return address_; }

    /// Whether the mask's bytes lie along the rows: else regions are copied.
    bool is_direct() const { return is_direct_; }

    /// The region where it lies.
    MaskTile tile(const MaskRegion& region) const;

    /// Whether eight channels share a byte: groups of channels begin with a byte.
    bool packs_channels() const { return layout_.along_channels; }
    /// Whether elements of several tiles share bytes. Then copying to the mask sets bits, and
    /// clears none.
    bool packs_elements() const {
        return !layout_.along_channels && layout_.inner > 1 &&
               !(is_along_rows_ && has_rows_of_whole_bytes_);
    }

    /// Bytes of a buffer for any region of up to so many channels, and so many elements of all
    /// channels together.
    static std::int64_t buffer_bytes(std::int64_t channels, std::int64_t elements) {
        return tile_bytes(channels, elements) + elements;
    }
    /// How a region lies in a buffer: channels_first has rows of one channel each, channels_last
    /// one row for each `lanes` elements.
    MaskTile buffer_tile(const MaskRegion& region, std::byte* buffer) const;

    void copy_to_buffer(const MaskRegion& region, std::byte* buffer) const;
    void copy_from_buffer(const MaskRegion& region, std::byte* buffer) const;

private:
    /// So many may be accessed from the beginning of any row of lanes.
    static constexpr std::int64_t row_of_lanes_bytes = 8;
    /// A bit for each element, and what rounding each channel, or each row, to bytes adds.
    static std::int64_t tile_bytes(std::int64_t channels, std::int64_t elements) {
        return elements / bits_per_byte + channels + elements + row_of_lanes_bytes;
    }

    /// Counted from the channel's first.
    std::int64_t first_element(const MaskRegion& region) const {
        return region.row * row_length_ + region.first;
    }

    /// Where the rows of elements are, between the buffer's arrangement and the mask's: in the mask
    /// or the buffer itself, if they are arranged so, else in the buffer, behind the tile.
    ElementBits element_rows(const MaskRegion& region, std::byte* buffer) const;
    ChannelBits channel_rows(const MaskRegion& region, std::byte* buffer) const {
        return {buffer, bytes_for(region.count), region.channels};
    }
    LaneBits lane_rows(const MaskRegion& region, std::byte* buffer) const {
        return {buffer, lanes_, region.channels};
    }
    /// The mask's bytes of one bit each, if there are no inner axes.
    ByteRows byte_rows(const MaskRegion& region) const;
    /// Calls function(channel bits, first, count, rows) for each index of the outer axes: `rows`
    /// are those of elements [first, first + count) of the inner axes.
    template <typename Function>
    void for_each_outer(const MaskRegion& region, const ElementBits& rows,
                        const Function& function) const;

    std::byte* address_;
    ReluMaskLayout layout_;
    bool is_along_rows_;
    std::int64_t lanes_;
    std::int64_t row_length_;
    bool has_rows_of_whole_bytes_;
    bool is_direct_;
};

}  // namespace normgraph::kernel::simd
