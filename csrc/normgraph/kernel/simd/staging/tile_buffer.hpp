#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "normgraph/kernel/simd/tiling/tiles.hpp"

namespace normgraph::kernel::simd {

/// Room for one tile of a group of channels, in which its rows follow each other.
class TileBuffer {
public:
    TileBuffer(const Geometry& geometry, std::int64_t channels, Scratch& scratch)
        : geometry_(geometry),
          bytes_(Tiles::staged_bytes(geometry, channels)),
          address_(scratch.take<std::byte>(bytes_)) {}

    static std::size_t bytes(const Geometry& geometry, std::int64_t channels) {
        return Scratch::rounded(static_cast<std::size_t>(Tiles::staged_bytes(geometry, channels)));
    }

    std::byte* address() const { return address_; }
    const std::byte* end() const { return address_ + bytes_; }
    std::int64_t channel_stride(const Tile& tile) const {
        return geometry_.is_along_rows() ? tile.rows * row_stride(tile) : 0;
    }
    /// Throws std::logic_error for a tile that is larger.
    std::int64_t row_stride(const Tile& tile) const {
        const std::int64_t size = geometry_.element_size();
        if (tile.channel_count() * tile.rows * tile.count * size > bytes_) {
            throw std::logic_error("normgraph: a tile is larger than its buffer");
        }
        return geometry_.is_along_rows()
                   ? tile.count * size
                   : geometry_.columns_per_channel() * tile.channel_count() * size;
    }

private:
    const Geometry& geometry_;
    std::int64_t bytes_;
    std::byte* address_;
};

}  // namespace normgraph::kernel::simd
