#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>

#include "normgraph/indices/counts.hpp"
#include "normgraph/kernel/layout.hpp"
#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/kernel/tuning.hpp"

namespace normgraph::kernel::simd {

/// The elements of the widest vector.
inline constexpr std::int64_t widest_vector = 16;

/// The blocks, of the canonical order, from begin up to end.
struct BlockRange {
    std::int64_t begin, end;
};

/// A problem's elements as rows in the blocks of the canonical order: numbers alone, no memory.
///
/// channels_first has rows of one channel each. channels_last has one row per channel, taken
/// several elements at a time across the channels.
struct Geometry {
    LayoutClass layout_class;
    std::int64_t channels;
    ElementType type;
    SummationOrder order;
    CacheTuning tuning = cache_tuning();

    std::int64_t element_size() const { return static_cast<std::int64_t>(size_of(type)); }
    /// Of term_t, in which terms are added.
    std::int64_t term_size() const { return has_chains() ? 4 : 8; }
    bool has_chains() const { return kernel::has_chains(type); }
    bool is_along_rows() const { return layout_class == LayoutClass::channels_first; }

    /// Whether rows are along this axis, which is not that of the channels. Where the channel axis
    /// is the first, the samples' axis is the next one.
    bool is_row_axis(std::size_t axis, std::size_t channel_axis) const {
        return order.rows_are_axes && axis < std::max<std::size_t>(channel_axis, 2);
    }

    std::int64_t elements_per_channel() const { return order.row_count * order.row_length; }
    std::int64_t bytes_per_row() const { return order.row_length * element_size(); }
    std::int64_t bytes_per_channel() const { return elements_per_channel() * element_size(); }
    /// The most of one channel.
    std::int64_t bytes_per_block() const {
        return order.block_rows * order.block_length * element_size();
    }
    std::int64_t tensor_bytes() const { return channels * bytes_per_channel(); }
    bool has_short_rows() const { return bytes_per_row() < shortest_streamed_row; }

    /// channels_last gives each of its lanes a column of its own: column lane · channels + channel.
    std::int64_t columns_per_channel() const { return is_along_rows() ? 1 : order.lanes; }

    /// Values of each kind that a group of so many channels needs: in whole vectors, or, along
    /// columns, in whole steps.
    std::int64_t values_per_group(std::int64_t group_channels) const {
        return is_along_rows() ? round_up(group_channels, widest_vector)
                               : round_up(group_channels * columns_per_channel(), most_lanes);
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
        const BlockExtent first = order.extent_of(blocks.begin);
        const BlockExtent last = order.extent_of(blocks.end - 1);
        return {first.row, last.row_end, first.first, last.end};
    }

    /// Whether some blocks, of whole leaves or of one, are rows of equal parts: extent_of() is all
    /// of them.
    bool is_box(const BlockRange& blocks) const {
        const std::int64_t per_leaf = order.blocks_per_leaf;
        return order.leaf_rows == 1 || order.blocks_along_leaf == 1 ||
               (blocks.begin % per_leaf == 0 && blocks.end % per_leaf == 0);
    }

    /// The elements of a range of blocks, all of one channel.
    std::int64_t elements_in(const BlockRange& blocks) const {
        std::int64_t count = 0;
        for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
            count += order.extent_of(block).element_count();
        }
        return count;
    }

    /// Calls `function(extent)` for parts of what these blocks cover, the last part first. Parts
    /// are larger than blocks: memory is read at its full speed only along runs of many pages. The
    /// blocks are those of whole leaves, or belong to one leaf.
    template <typename Function>
    void for_each_part_backwards(const BlockRange& blocks, const Function& function) const {
        const std::int64_t per_leaf = order.blocks_per_leaf;
        if (blocks.begin % per_leaf == 0 && blocks.end % per_leaf == 0) {
            cut_backwards(order.extent_of_leaves(blocks.begin / per_leaf, blocks.end / per_leaf),
                          function);
            return;
        }
        // Whole rows of blocks are one extent.
        const std::int64_t along = order.blocks_along_leaf;
        for (std::int64_t end = blocks.end; end > blocks.begin;) {
            const bool is_one_row = order.leaf_rows == 1 || along == 1;
            const std::int64_t begin =
                is_one_row ? blocks.begin : std::max(blocks.begin, (end - 1) / along * along);
            const BlockExtent first = order.extent_of(begin), last = order.extent_of(end - 1);
            cut_backwards({first.row, last.row_end, first.first, last.end}, function);
            end = begin;
        }
    }

private:
    template <typename Function>
    void cut_backwards(const BlockExtent& whole, const Function& function) const {
        const std::int64_t most_length = steps_per_part * order.lanes;
        const std::int64_t length = std::min(whole.end - whole.first, most_length);
        const std::int64_t rows = std::max<std::int64_t>(1, most_length / length);
        for (std::int64_t row = divide_up(whole.row_end - whole.row, rows); row-- > 0;) {
            const std::int64_t begin = whole.row + row * rows;
            for (std::int64_t piece = divide_up(whole.end - whole.first, length); piece-- > 0;) {
                const std::int64_t first = whole.first + piece * length;
                function(BlockExtent{begin, std::min(begin + rows, whole.row_end), first,
                                     std::min(first + length, whole.end)});
            }
        }
    }
};

/// `strides`: those of the tensor that sets the layout class.
inline Geometry geometry_of(const Problem& problem, std::span<const std::int64_t> strides) {
    return {layout_class_of(problem, strides), all_channels(problem).end, problem.data_type,
            summation_order(problem, strides)};
}

}  // namespace normgraph::kernel::simd
