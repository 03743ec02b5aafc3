#pragma once

#include <cstdint>

#include "normgraph/indices/counts.hpp"

/// The canonical order in which every kernel makes a Sum or a Mean, whatever the strides.
///
/// The elements that are summed into one element of the result are numbered in logical order. Each
/// 1024 consecutive ones are a block; in a block element i belongs to lane i mod 8. A lane adds its
/// elements in order, in double, from +0 on; then the lanes are folded, upper half onto lower half,
/// until one is left. Blocks are added in a binary tree that splits at the largest power of two
/// below their number. A mean divides in double. Then the result is rounded once.
///
/// At most 128 adds of a lane, 3 folds and 53 levels of the tree are made for any element, so that
/// before it is rounded a sum is off by less than 184 · 2^-53 · Σ|elements| < 2.1e-14 ·
/// Σ|elements|.
namespace normgraph::kernel {

struct PrimitiveSum {
    static constexpr std::int64_t block_length = 1024;
    static constexpr std::int64_t lanes = 8;

    static constexpr std::int64_t block_count(std::int64_t elements) {
        return divide_up(elements, block_length);
    }
};

}  // namespace normgraph::kernel
