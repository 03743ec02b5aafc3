#include <algorithm>

#include "normgraph/kernel/simd/phases/apply_tile.hpp"
#include "normgraph/kernel/simd/phases/phases.hpp"
#include "normgraph/kernel/simd/staging/line_writer.hpp"
#include "normgraph/kernel/simd/staging/tile_buffer.hpp"
#include "normgraph/kernel/strided/copy.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::simd {
namespace {

/// A millisecond's work at most.
constexpr std::int64_t elements_between_polls = std::int64_t{512} * 1024;

/// Short rows that follow each other in memory, written in whole cache lines.
class RowsThroughLines {
public:
    RowsThroughLines(const Geometry& geometry, Apply kernel, const Coefficients& coefficients,
                     Scratch& scratch)
        : row_bytes_(geometry.bytes_per_row()),
          rows_at_once_(std::max<std::int64_t>(1, bytes_of_rows_in_lines / row_bytes_)),
          kernel_(kernel),
          coefficients_(coefficients),
          writer_(scratch.take<std::byte>(buffer_bytes())) {}

    static constexpr std::int64_t buffer_bytes() {
        return LineWriter::buffer_bytes(std::max(bytes_of_rows_in_lines, shortest_streamed_row));
    }

    /// Applies to one row of each channel.
    void apply(const TileExtent& extent, StagedTile row) {
        for (std::int64_t first = 0; first < extent.channels; first += rows_at_once_) {
            const std::int64_t count = std::min(rows_at_once_, extent.channels - first);
            TargetTile room = row.target;
            room.address = writer_.room_for(row.target.address);
            room.streams = false;
            room.writable_end = room.address + count * row_bytes_ + cache_line;
            kernel_({count, 1, extent.length}, row.sources.data(), {},
                    {coefficients_.values, coefficients_.stride, first}, room);
            writer_.write(count * row_bytes_);
            row.skip_channels(count);
        }
    }

    void finish() { writer_.finish(); }

private:
    std::int64_t row_bytes_, rows_at_once_;
    Apply kernel_;
    Coefficients coefficients_;
    LineWriter writer_;
};

}  // namespace

void apply(const Traversal& traversal, const RowsAndColumns<Apply>& kernel,
           const ChannelRange& channels, const BlockRange& blocks, const Coefficients& coefficients,
           const GroupCopies& copies, Scratch& scratch) {
    const Scratch::Frame frame(scratch);
    const Geometry& geometry = traversal.geometry();
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

std::size_t apply_bytes(const Traversal& traversal, std::int64_t channels) {
    constexpr auto lines = static_cast<std::size_t>(RowsThroughLines::buffer_bytes());
    const std::size_t by_positions =
        traversal.positions() == nullptr ? 0 : TileBuffer::bytes(traversal.geometry(), channels);
    return traversal.buffer_bytes(channels) + Scratch::rounded(lines) + by_positions +
           2 * Scratch::line;
}

void apply_in_order(const Traversal& traversal, Apply kernel, const ChannelRange& channels,
                    const BlockRange& blocks, const Coefficients& coefficients, bool reads_memory,
                    Scratch& scratch) {
    const Scratch::Frame frame(scratch);
    const Geometry& geometry = traversal.geometry();
    const BlockExtent extent = geometry.extent_of(blocks);
    const TileExtent row_extent{channels.end - channels.begin, 1, extent.end - extent.first};
    const bool buffers = traversal.streams_target() && geometry.has_short_rows();
    StagedTile row = traversal.row_in_order(channels, extent, reads_memory);
    RowsThroughLines through_lines(geometry, kernel, coefficients, scratch);
    std::int64_t until_poll = 0;
    for (std::int64_t index = extent.row; index < extent.row_end; ++index) {
        if (until_poll <= 0) {
            stop_if_interrupted();
            until_poll = elements_between_polls;
        }
        until_poll -= row_extent.channels * row_extent.length;
        if (buffers) {
            through_lines.apply(row_extent, row);
        } else {
            kernel(row_extent, row.sources.data(), {},
                   {coefficients.values, coefficients.stride, 0}, row.target);
        }
        row.skip_rows(1);
    }
    through_lines.finish();
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
