#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "normgraph/indices/counts.hpp"
#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/strided/extents.hpp"

/// The canonical order in which every kernel sums a channel. It depends on the shape, the element
/// type and the layout class alone, so that the bits of a result do not depend on threads or
/// instruction sets.
///
/// A *sample* is one index of the first axis that is not the channel axis: `rows` rows of `length`
/// elements of a channel. channels_first, if its rows are longer than one element, begins a new
/// step at every row; else the elements of all samples follow each other as one row. A *step* takes
/// `lanes` elements, element i of a row or of a block of the one row belonging to lane i mod
/// `lanes`.
///
/// A *block* is at most 64 steps: the largest power of two of whole samples that fits. A longer
/// sample is cut into pieces, which are blocks: of 64 steps, or of as many whole rows as fit where
/// rows are shorter. In a block each lane adds its terms in order, from +0 on. 16-bit data is added
/// in float, in *chains* of 16 consecutive steps, counted over the rows of a block; a chain's sum
/// is added to its lane's double. Then the lanes are folded: upper half onto lower half, until one
/// is left.
///
/// A *leaf* is a block of whole samples, or a sample that was cut, whose pieces are combined in a
/// tree of their own. Leaves are combined in a binary tree. Both trees split at the largest power
/// of two below the number of their nodes, so that a batch that is cut between leaves, at multiples
/// of a block's samples, has nodes of the same tree.
namespace normgraph::kernel {

/// Changes whenever the order does, and with it the bits of results.
inline constexpr int summation_order_version = 2;

/// channels_first walks along the elements of a channel, channels_last across the channels.
enum class LayoutClass : std::uint8_t { channels_first, channels_last };

inline constexpr std::int64_t steps_per_block = 64;
inline constexpr std::int64_t steps_per_chain = 16;

constexpr bool has_chains(ElementType type) {
    return size_of(type) == 2;
}
/// The type in which terms are made and, of 16-bit data, chains added.
template <typename Data>
using term_t = std::conditional_t<sizeof(Data) == 2, float, double>;

/// The accumulators of channels_first, one cache line of the data; of channels_last the fewest.
constexpr std::int64_t lanes_per_step(ElementType type) {
    return has_chains(type) ? 32 : 16;
}
template <typename Data>
inline constexpr std::int64_t lanes_of = sizeof(Data) == 2 ? 32 : 16;
inline constexpr std::int64_t most_lanes = 32;

/// Few channels side by side leave a vector register idle, so for channels_last several elements
/// get lanes of their own: the smallest power of two that makes enough accumulators.
constexpr std::int64_t channels_last_lanes(ElementType type, std::int64_t channels) {
    const std::int64_t wanted = divide_up(lanes_per_step(type), channels);
    return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(wanted)));
}

/// The elements of a channel: samples of rows.
struct SampleExtents {
    std::int64_t samples, rows, length;

    std::int64_t element_count() const { return samples * rows * length; }
};

/// 0 <= channel_axis < rank; rank >= 2.
inline SampleExtents sample_extents(std::span<const std::int64_t> shape,
                                    std::int64_t channel_axis) {
    const auto axis = static_cast<std::size_t>(channel_axis);
    if (axis == 0) {
        return {shape[1], 1, product(shape.subspan(2))};
    }
    return {shape[0], product(shape.first(axis).subspan(1)), product(shape.subspan(axis + 1))};
}

/// Elements [first, end) of rows [row, row_end) of a channel.
struct BlockExtent {
    std::int64_t row, row_end, first, end;

    std::int64_t element_count() const { return (row_end - row) * (end - first); }
};

struct SummationOrder {
    std::int64_t lanes = 1;
    std::int64_t row_count = 0, row_length = 0;
    bool rows_are_axes = false;  ///< rows are those of samples; else there is one row of all
    std::int64_t leaf_rows = 1, leaf_length = 1;
    std::int64_t block_rows = 1, block_length = 1;
    std::int64_t leaf_count = 0;
    /// Of a leaf: those side by side along its rows, and all.
    std::int64_t blocks_along_leaf = 1, blocks_per_leaf = 1;

    bool is_empty() const { return row_count == 0; }
    /// Number of blocks of one channel; 0 where a channel is empty.
    std::int64_t block_count() const { return leaf_count * blocks_per_leaf; }

    /// The leaves from begin up to end, whose blocks follow each other.
    BlockExtent extent_of_leaves(std::int64_t begin, std::int64_t end) const {
        if (rows_are_axes) {
            return {begin * leaf_rows, std::min(end * leaf_rows, row_count), 0, row_length};
        }
        return {0, 1, begin * leaf_length, std::min(end * leaf_length, row_length)};
    }

    /// The number of blocks from `block` on, before `end`, that have as many rows and elements as
    /// this one and lie at equal distances: along a row, or across rows.
    std::int64_t equal_blocks(std::int64_t block, std::int64_t end) const {
        const BlockExtent first = extent_of(block);
        BlockExtent step{0, 0, 0, 0};
        std::int64_t count = 1;
        for (; block + count < end; ++count) {
            const BlockExtent next = extent_of(block + count);
            if (count == 1) {
                step = {next.row - first.row, 0, next.first - first.first, 0};
            }
            if (next.row != first.row + count * step.row ||
                next.first != first.first + count * step.first ||
                next.row_end - next.row != first.row_end - first.row ||
                next.end - next.first != first.end - first.first) {
                break;
            }
        }
        return count;
    }

    BlockExtent extent_of(std::int64_t block) const {
        if (blocks_per_leaf == 1) {
            return extent_of_leaves(block, block + 1);
        }
        const std::int64_t leaf = block / blocks_per_leaf, piece = block % blocks_per_leaf;
        const BlockExtent whole = extent_of_leaves(leaf, leaf + 1);
        const std::int64_t row = whole.row + piece / blocks_along_leaf * block_rows;
        const std::int64_t first = whole.first + piece % blocks_along_leaf * block_length;
        return {row, std::min(row + block_rows, whole.row_end), first,
                std::min(first + block_length, whole.end)};
    }
};

/// `channels` counts for channels_last alone.
constexpr SummationOrder summation_order(LayoutClass layout_class, ElementType type,
                                         std::int64_t channels, const SampleExtents& extents) {
    const std::int64_t samples = extents.samples, rows = extents.rows, length = extents.length;
    const bool is_first = layout_class == LayoutClass::channels_first;
    SummationOrder order;
    order.lanes = is_first ? lanes_per_step(type) : channels_last_lanes(type, channels);
    if (samples == 0 || rows == 0 || length == 0) {
        return order;
    }
    order.rows_are_axes = is_first && length > 1;
    const std::int64_t sample_rows = order.rows_are_axes ? rows : 1;
    const std::int64_t sample_length = order.rows_are_axes ? length : rows * length;
    order.row_count = order.rows_are_axes ? samples * rows : 1;
    order.row_length = order.rows_are_axes ? length : samples * sample_length;

    const std::int64_t steps_per_row = divide_up(sample_length, order.lanes);
    // Where rows are axes, each begins with a step of its own.
    const std::int64_t most_samples = order.rows_are_axes
                                          ? steps_per_block / (rows * steps_per_row)
                                          : steps_per_block * order.lanes / sample_length;
    const std::int64_t leaf_samples = static_cast<std::int64_t>(
        std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(1, most_samples))));
    order.leaf_rows = order.rows_are_axes ? leaf_samples * sample_rows : 1;
    order.leaf_length = order.rows_are_axes ? length : leaf_samples * sample_length;
    order.leaf_count = divide_up(samples, leaf_samples);
    order.block_rows = order.leaf_rows;
    order.block_length = order.leaf_length;
    if (most_samples == 0) {
        order.block_rows = std::max<std::int64_t>(1, steps_per_block / steps_per_row);
        order.block_length = std::min(sample_length, steps_per_block * order.lanes);
        order.blocks_along_leaf = divide_up(order.leaf_length, order.block_length);
        order.blocks_per_leaf =
            divide_up(order.leaf_rows, order.block_rows) * order.blocks_along_leaf;
    }
    return order;
}

}  // namespace normgraph::kernel
