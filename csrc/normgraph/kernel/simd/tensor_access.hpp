#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/layout.hpp"
#include "normgraph/kernel/strided/axes.hpp"

namespace normgraph::kernel::simd {

/// Element `index` of a row of a channel.
struct ElementPosition {
    std::int64_t channel, row, index;

    bool operator==(const ElementPosition&) const = default;
};

/// Elements [first, first + count) of rows [row, row + rows) of some channels.
struct Tile {
    ChannelRange channels;
    std::int64_t row, rows;
    std::int64_t first, count;
    ElementPosition next;  ///< where the next tile begins; where this one does if there is none

    std::int64_t channel_count() const { return channels.end - channels.begin; }
    ElementPosition begin() const { return {channels.begin, row, first}; }
};

/// A tile of one row of each channel, or room for it, in a buffer. Strides in bytes.
struct BufferedTile {
    std::byte* address;
    std::int64_t channel_stride, element_stride;
};

/// One tensor as rows of elements; absent if the address is null.
struct TensorAccess {
    std::byte* address = nullptr;  ///< written through for targets only
    TensorAxes rows, elements;
    std::int64_t channel_stride = 0;
    std::size_t element_size = 0;
    const std::byte* readable_end = nullptr;
    bool is_direct = false;  ///< micro-kernels can use it where it lies

    std::byte* at(const ElementPosition& position) const { return address + offset_of(position); }
    std::int64_t distance(const ElementPosition& from, const ElementPosition& to) const {
        return offset_of(to) - offset_of(from);
    }
    std::int64_t distance_to_next(const Tile& tile) const {
        return distance(tile.begin(), tile.next);
    }

    /// Copies a tile of one row of each channel, and prefetches the memory of the next one.
    void copy_to(const BufferedTile& buffer, const Tile& tile) const;
    void copy_from(const BufferedTile& buffer, const Tile& tile) const;
    /// As copy_from, with non-temporal stores; `spare` has room for the tile.
    void stream_from(const BufferedTile& buffer, const Tile& tile, std::byte* spare) const;

private:
    std::int64_t offset_of(const ElementPosition& position) const {
        return rows.offset_of(position.row) + elements.offset_of(position.index) +
               position.channel * channel_stride;
    }
    template <typename Function>
    void for_each_box(const BufferedTile& buffer, const Tile& tile, const Function& function) const;
};

}  // namespace normgraph::kernel::simd
