#pragma once

#include <cstdint>

#include "normgraph/kernel/simd/tiling/geometry.hpp"

/// Cuts blocks of the canonical order, and larger parts, into tiles that micro-kernels take at a
/// time.
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

/// The demands that the tensors of a phase make on its tiles.
struct TileDemands {
    bool stages = false;           ///< some tensor is copied
    bool stages_across = false;    ///< neighbours in such a tensor are of different channels
    bool buffers_target = false;   ///< the target is written to a buffer first
    bool rows_are_regular = true;  ///< tiles may have several rows
    std::int64_t run;              ///< tiles must not go beyond a multiple of this many elements
};

/// The tiles of one block, or part, of a group of channels: along the elements, then along the
/// channels, then along the rows.
class Tiles {
public:
    Tiles(const Geometry& geometry, const TileDemands& demands, const ChannelRange& channels,
          const BlockExtent& block);

    template <typename Function>
    void for_each(const Function& function) const {
        Tile tile = tile_at({channels_.begin, block_.row, block_.first});
        function(tile);
        while (tile.next != tile.begin()) {
            tile = tile_at(tile.next);
            function(tile);
        }
    }

    /// The bytes of any tile that is copied, of so many channels or fewer, and of a vector beyond
    /// its last element.
    static std::int64_t staged_bytes(const Geometry& geometry, std::int64_t channels);

    /// The elements of such a tile, and so the bits of its mask.
    static std::int64_t most_staged_elements(const Geometry& geometry, std::int64_t channels);

private:
    struct Size {
        std::int64_t channels, rows, elements;
    };
    Size size_in_place(const Geometry& geometry) const;
    Size staged_size(const Geometry& geometry) const;
    Size buffered_size(const Geometry& geometry) const;
    Tile tile_at(const ElementPosition& begin) const;

    ChannelRange channels_;
    BlockExtent block_;
    TileDemands demands_;
    Size size_;
};

}  // namespace normgraph::kernel::simd
