#include <algorithm>

#include "normgraph/kernel/simd/phases/columns.hpp"
#include "normgraph/kernel/simd/phases/phases.hpp"
#include "normgraph/kernel/strided/copy.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::simd {
namespace {

/// Applies to a tile with one coefficient of each kind per row.
void apply_rows(const Geometry& /*geometry*/, const RowsAndColumns<Apply>& kernel, const Tile& tile,
                const StagedTile& staged, const ChannelValues& coefficients) {
    kernel.rows({tile.channel_count(), tile.rows, tile.count}, staged.sources.data(), staged.mask,
                coefficients, staged.target);
}

/// Applies to a tile with coefficients for each column.
void apply_columns(const Geometry& geometry, const RowsAndColumns<Apply>& kernel, const Tile& tile,
                   const StagedTile& staged, const ChannelValues& coefficients) {
    for_each_extent_of_columns(
        geometry, tile, staged, [&](const TileExtent& extent, const StagedTile& part) {
            kernel.columns(extent, part.sources.data(), part.mask, coefficients, part.target);
        });
}

}  // namespace

void apply(const Traversal& traversal, const RowsAndColumns<Apply>& kernel,
           const ChannelRange& channels, const BlockRange& blocks, const Coefficients& coefficients,
           const GroupCopies& copies, Scratch& scratch) {
    const Scratch::Frame frame(scratch);
    const Geometry& geometry = traversal.geometry();
    const auto apply_tile = geometry.is_along_rows() ? apply_rows : apply_columns;
    const std::int64_t count = channels.end - channels.begin;
    const TileBuffers buffers = traversal.take_buffers(count, scratch);
    // What was read last is the likeliest to be in a cache still.
    geometry.for_each_part_backwards(blocks, [&](const BlockExtent& part) {
        stop_if_interrupted();
        traversal.tiles(Phase::apply, channels, part, copies).for_each([&](const Tile& tile) {
            const StagedTile staged = traversal.stage(Phase::apply, tile, buffers, copies);
            apply_tile(
                geometry, kernel, tile, staged,
                {coefficients.values, coefficients.stride, tile.channels.begin - channels.begin});
            traversal.write_back(tile, staged, buffers);
        });
    });
    if (traversal.streams_target()) {
        finish_streams();
    }
}

void apply_coalesced(const Traversal& traversal, Apply kernel, const ChannelRange& channels,
                     const Coefficients& coefficients) {
    const Geometry& geometry = traversal.geometry();
    const std::int64_t row_count = geometry.order.row_count;
    const auto apply_columns = [&](std::int64_t first, std::int64_t end, bool streams) {
        constexpr std::int64_t rows_between_polls = 4096;
        for (std::int64_t row = 0; row < row_count; row += rows_between_polls) {
            stop_if_interrupted();
            const StagedTile staged = traversal.coalesced_tile(channels.begin, row, first, streams);
            kernel({1, std::min(rows_between_polls, row_count - row), end - first},
                   staged.sources.data(), {}, {coefficients.values, coefficients.stride, first},
                   staged.target);
        }
    };
    const std::int64_t columns = (channels.end - channels.begin) * geometry.order.row_length;
    const bool streams = traversal.streams_target();
    const auto* const begin =
        traversal.coalesced_tile(channels.begin, 0, 0, streams).target.address;
    const auto past_line = reinterpret_cast<std::uintptr_t>(begin) % cache_line;
    const std::int64_t to_line =
        (cache_line - static_cast<std::int64_t>(past_line)) % cache_line / geometry.element_size();
    const std::int64_t head = streams ? std::min(to_line, columns) : 0;
    if (head > 0) {
        apply_columns(0, head, false);
    }
    const std::int64_t width = geometry.tuning.coalesced_columns;
    for (std::int64_t first = head; first < columns; first += width) {
        apply_columns(first, std::min(first + width, columns), streams);
    }
    if (streams) {
        finish_streams();
    }
}

}  // namespace normgraph::kernel::simd
