#include "normgraph/kernel/simd/tiling/tiles.hpp"

#include <algorithm>

namespace normgraph::kernel::simd {
namespace {

/// The elements of a row in a tile that is copied, if it has so many channels.
std::int64_t elements_per_staged_tile(const Geometry& geometry, std::int64_t channels) {
    const std::int64_t fitting =
        geometry.tuning.staged_tile_bytes / (channels * geometry.element_size());
    return std::max(most_lanes, fitting / most_lanes * most_lanes);
}

}  // namespace

Tiles::Tiles(const Geometry& geometry, const TileDemands& demands, const ChannelRange& channels,
             const BlockExtent& block)
    : channels_(channels), block_(block), demands_(demands) {
    if (!demands.stages && !demands.buffers_target) {
        size_ = size_in_place(geometry);
    } else if (!geometry.is_along_rows()) {
        const std::int64_t count = channels.end - channels.begin;
        size_ = {count, 1, elements_per_staged_tile(geometry, count)};
    } else {
        size_ = demands.stages ? staged_size(geometry) : buffered_size(geometry);
    }
}

Tiles::Size Tiles::size_in_place(const Geometry& geometry) const {
    const std::int64_t channels = channels_.end - channels_.begin;
    const std::int64_t rows = block_.row_end - block_.row;
    const std::int64_t elements = std::min(demands_.run, block_.end - block_.first);
    // One channel's rows, or so few that the order in which they are read does not matter.
    const bool is_small =
        channels * rows * geometry.bytes_per_row() <= geometry.tuning.any_order_bytes;
    if (demands_.rows_are_regular && (channels == 1 || is_small)) {
        return {channels, rows, elements};
    }
    const bool takes_several = demands_.rows_are_regular && geometry.has_short_rows();
    return {channels, takes_several ? short_rows_together : 1, elements};
}

Tiles::Size Tiles::staged_size(const Geometry& geometry) const {
    const std::int64_t elements = std::min(demands_.run, block_.end - block_.first);
    const std::int64_t of_whole_rows =
        std::max<std::int64_t>(1, elements_per_staged_tile(geometry, 1) / elements);
    const std::int64_t channels = std::min(
        channels_.end - channels_.begin, demands_.stages_across ? channels_across : of_whole_rows);
    // Tiles have equal lengths, since the memory of short ones is read slowly.
    const std::int64_t tiles = divide_up(elements, elements_per_staged_tile(geometry, channels));
    return {channels, 1, round_up(divide_up(elements, tiles), most_lanes)};
}

Tiles::Size Tiles::buffered_size(const Geometry& geometry) const {
    const std::int64_t elements = std::min(demands_.run, block_.end - block_.first);
    const std::int64_t rows = geometry.rows_in_whole_lines(geometry.tuning.buffered_rows_bytes /
                                                           (elements * geometry.element_size()));
    if (rows == 0) {
        return {1, 1, elements_per_staged_tile(geometry, 1)};
    }
    return {std::min(rows, channels_.end - channels_.begin), 1, elements};
}

Tile Tiles::tile_at(const ElementPosition& begin) const {
    const std::int64_t last = std::min(begin.channel + size_.channels, channels_.end);
    const std::int64_t length = std::min(
        {size_.elements, demands_.run - begin.index % demands_.run, block_.end - begin.index});
    const std::int64_t rows_left = block_.row_end - begin.row;
    const std::int64_t rows = std::min(size_.rows, rows_left);
    Tile tile{{begin.channel, last}, begin.row, rows, begin.index, length, begin};
    if (begin.index + length < block_.end) {
        tile.next.index += length;
    } else if (last < channels_.end) {
        tile.next = {last, begin.row, block_.first};
    } else if (rows < rows_left) {
        tile.next = {channels_.begin, begin.row + rows, block_.first};
    }
    return tile;
}

std::int64_t Tiles::staged_bytes(const Geometry& geometry, std::int64_t channels) {
    // Fewer channels never take more.
    const std::int64_t smallest = channels * geometry.element_size() * most_lanes;
    return std::max(geometry.tuning.staged_tile_bytes, smallest) + cache_line;
}

std::int64_t Tiles::most_staged_elements(const Geometry& geometry, std::int64_t channels) {
    constexpr std::int64_t smallest_element = 2;
    return std::max(geometry.tuning.staged_tile_bytes / smallest_element, most_lanes * channels);
}

}  // namespace normgraph::kernel::simd
