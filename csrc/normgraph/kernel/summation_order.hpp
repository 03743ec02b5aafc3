#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "normgraph/indices/counts.hpp"
#include "normgraph/kernel/strided/extents.hpp"

/// The canonical order in which every kernel sums a channel. It depends on the shape and the layout
/// class alone, so that the bits of a result do not depend on threads or instruction sets.
///
/// A channel's elements, in logical order, form `row_count` rows of `row_length`. Element i of a
/// row belongs to lane i mod `lanes`. Rows (or, of a row longer than `elements_per_block`, its
/// pieces) are grouped into blocks. In a block every lane adds its terms in order, starting from
/// +0, then the lanes are folded: upper half onto lower half, until one is left. Blocks are
/// combined in a binary tree that splits at the largest power of two below the number of blocks.
namespace normgraph::kernel {

/// Changes whenever the order does, and with it the bits of results.
inline constexpr int summation_order_version = 1;

/// channels_first walks along the elements of a channel, channels_last across the channels.
enum class LayoutClass : std::uint8_t { channels_first, channels_last };

/// Adds that one lane makes in one block at most. Together with at most 4 folds and 55 levels of
/// the tree it bounds a sum's rounding error by 571 · 2^-53 · Σ|terms| < 6.4e-14 · Σ|terms|.
inline constexpr std::int64_t steps_per_block = 512;

/// Elements side by side that one step along a row takes, and so the lanes of channels_first: as
/// many double accumulators as one cache line of f32 fills.
inline constexpr std::int64_t lanes_per_step = 16;

struct SummationOrder {
    std::int64_t row_count;
    std::int64_t row_length;
    std::int64_t lanes;

    std::int64_t elements_per_block() const { return steps_per_block * lanes; }
    bool rows_are_split() const { return row_length > elements_per_block(); }
    std::int64_t steps_per_row() const { return divide_up(row_length, lanes); }
    std::int64_t blocks_per_row() const { return divide_up(row_length, elements_per_block()); }
    std::int64_t rows_per_block() const { return steps_per_block / steps_per_row(); }

    /// Number of blocks of one channel; 0 where a channel is empty.
    std::int64_t block_count() const {
        if (row_count == 0 || row_length == 0) {
            return 0;
        }
        return rows_are_split() ? row_count * blocks_per_row()
                                : divide_up(row_count, rows_per_block());
    }
};

/// Few channels side by side leave a vector register idle, so for channels_last several rows get
/// lanes of their own: the smallest power of two that makes at least 16 accumulators.
constexpr std::int64_t channels_last_lanes(std::int64_t channels) {
    const std::int64_t wanted = divide_up(lanes_per_step, channels);
    return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(wanted)));
}

constexpr SummationOrder summation_order(LayoutClass layout_class, const Extents& extents) {
    const auto& [outer, channels, inner] = extents;
    if (layout_class == LayoutClass::channels_last) {
        return {1, outer * inner, channels_last_lanes(channels)};
    }
    if (inner == 1) {
        return {1, outer, lanes_per_step};
    }
    return {outer, inner, lanes_per_step};
}

}  // namespace normgraph::kernel
