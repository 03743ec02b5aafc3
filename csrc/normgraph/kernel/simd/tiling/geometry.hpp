#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>

#include "normgraph/indices/counts.hpp"
#include "normgraph/kernel/layout.hpp"
#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/kernel/tuning.hpp"

namespace normgraph::kernel::simd {

/// The blocks, of the canonical order, from begin up to end.
struct BlockRange {
    std::int64_t begin, end;
};

/// The elements of a block: [first, end) of rows [row, row_end).
struct BlockExtent {
    std::int64_t row, row_end, first, end;
};

/// A problem's elements as rows in the blocks of the canonical order: numbers alone, no memory.
///
/// channels_first has rows of one channel each. channels_last has one row per channel, taken
/// several elements at a time across the channels.
struct Geometry {
    LayoutClass layout_class;
    std::int64_t channels;
    std::int64_t element_size;
    SummationOrder order;
    CacheTuning tuning = cache_tuning();

    /// Whether a channel has several rows: without inner axes the outer ones are its row.
    bool has_rows() const { return is_along_rows() && order.row_count != 1; }
    bool is_along_rows() const { return layout_class == LayoutClass::channels_first; }

    std::int64_t elements_per_channel() const { return order.row_count * order.row_length; }
    std::int64_t bytes_per_row() const { return order.row_length * element_size; }
    std::int64_t bytes_per_channel() const { return elements_per_channel() * element_size; }
    /// The most of one channel.
    std::int64_t bytes_per_block() const {
        return element_size * (order.rows_are_split() ? order.elements_per_block()
                                                      : order.rows_per_block() * order.row_length);
    }
    std::int64_t tensor_bytes() const { return channels * bytes_per_channel(); }
    bool has_short_rows() const { return bytes_per_row() < shortest_streamed_row; }

    /// channels_last gives each of its lanes a column of its own: column lane · channels + channel.
    std::int64_t columns_per_channel() const { return is_along_rows() ? 1 : order.lanes; }

    /// Values of each kind that a group of so many channels needs, in whole steps.
    std::int64_t values_per_group(std::int64_t group_channels) const {
        return round_up(group_channels * columns_per_channel(), lanes_per_step);
    }

    /// Rounds `rows` down so that side by side they fill whole cache lines, unless that leaves
    /// none.
    std::int64_t rows_in_whole_lines(std::int64_t rows) const {
        const std::int64_t unit = cache_line / std::gcd(bytes_per_row(), cache_line);
        return rows < unit ? rows : rows / unit * unit;
    }

    BlockExtent whole_extent() const { return {0, order.row_count, 0, order.row_length}; }

    /// The elements of some blocks: of whole rows, or of one row.
    BlockExtent extent_of(const BlockRange& blocks) const {
        const BlockExtent first = extent_of(blocks.begin);
        const BlockExtent last = extent_of(blocks.end - 1);
        return {first.row, last.row_end, first.first, last.end};
    }

    BlockExtent extent_of(std::int64_t block) const {
        if (!order.rows_are_split()) {
            const std::int64_t row = block * order.rows_per_block();
            return {row, std::min(row + order.rows_per_block(), order.row_count), 0,
                    order.row_length};
        }
        const std::int64_t row = block / order.blocks_per_row();
        const std::int64_t first = block % order.blocks_per_row() * order.elements_per_block();
        return {row, row + 1, first,
                std::min(first + order.elements_per_block(), order.row_length)};
    }
};

/// `strides`: those of the tensor that sets the layout class.
inline Geometry geometry_of(const Problem& problem, std::span<const std::int64_t> strides) {
    const LayoutClass layout_class = layout_class_of(problem, strides);
    return {layout_class, all_channels(problem).end,
            static_cast<std::int64_t>(size_of(problem.data_type)),
            summation_order(layout_class, extents_of(problem))};
}

}  // namespace normgraph::kernel::simd
