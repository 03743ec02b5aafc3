#pragma once

#include <cstdint>

#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/staging/traversal.hpp"

namespace normgraph::kernel::simd {

/// Calls `call(extent, staged)` for the whole rows of columns of a tile, and for the incomplete
/// one.
template <typename Call>
void for_each_extent_of_columns(const Geometry& geometry, const Tile& tile, StagedTile staged,
                                const Call& call) {
    const std::int64_t elements_per_row = geometry.columns_per_channel();
    const std::int64_t full_rows = tile.count / elements_per_row;
    const std::int64_t rest = tile.count % elements_per_row;
    if (full_rows > 0) {
        call(TileExtent{1, full_rows, elements_per_row * tile.channel_count()}, staged);
    }
    if (rest > 0) {
        staged.skip_rows(full_rows);
        call(TileExtent{1, 1, rest * tile.channel_count()}, staged);
    }
}

}  // namespace normgraph::kernel::simd
