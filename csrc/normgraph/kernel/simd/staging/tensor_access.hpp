#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "normgraph/kernel/simd/tiling/geometry.hpp"
#include "normgraph/kernel/simd/tiling/tiles.hpp"
#include "normgraph/kernel/strided/axes.hpp"

namespace normgraph::kernel::simd {

/// A tile of one row of each channel, or room for it, in a buffer. Strides in bytes.
struct BufferedTile {
    std::byte* address;
    std::int64_t channel_stride, element_stride;
};

/// One tensor as rows of elements; absent if the address is null.
struct TensorAccess {
    std::byte* address = nullptr;  ///< written through for targets only
    TensorAxes rows, elements;
    std::span<const std::int64_t> strides;  ///< of the problem's axes
    std::int64_t channels = 1;
    std::int64_t channel_stride = 0;
    std::size_t element_size = 0;
    const std::byte* readable_end = nullptr;
    bool is_direct = false;  ///< micro-kernels can use it where it lies

    /// In place, since the axes take more memory than a small call should copy.
    void bind(const Geometry& geometry, const Problem& problem, std::byte* first,
              std::span<const std::int64_t> all_strides);

    /// Whether it is copied, and neighbours in memory are of different channels.
    bool is_copied_across() const;

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
    bool has_direct_rows(const Geometry& geometry) const;
    bool has_direct_columns(const Geometry& geometry) const;
    std::int64_t offset_of(const ElementPosition& position) const {
        return rows.offset_of(position.row) + elements.offset_of(position.index) +
               position.channel * channel_stride;
    }
    template <typename Function>
    void for_each_box(const BufferedTile& buffer, const Tile& tile, const Function& function) const;
};

}  // namespace normgraph::kernel::simd
