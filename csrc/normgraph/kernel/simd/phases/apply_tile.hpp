#pragma once

#include "normgraph/kernel/simd/phases/columns.hpp"

namespace normgraph::kernel::simd {

/// Applies to a tile: along rows with one coefficient of each kind per channel, else with one for
/// each column.
inline void apply_tile(const Geometry& geometry, const RowsAndColumns<Apply>& kernel,
                       const Tile& tile, const StagedTile& staged,
                       const ChannelValues& coefficients) {
    if (geometry.is_along_rows()) {
        kernel.rows({tile.channel_count(), tile.rows, tile.count}, staged.sources.data(),
                    staged.mask, coefficients, staged.target);
        return;
    }
    for_each_extent_of_columns(
        geometry, tile, staged, [&](const TileExtent& extent, const StagedTile& part) {
            kernel.columns(extent, part.sources.data(), part.mask, coefficients, part.target);
        });
}

}  // namespace normgraph::kernel::simd
