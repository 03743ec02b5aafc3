#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/primitive_contract.hpp"

/// The loops of the primitive operations over elements that lie side by side, compiled once per
/// instruction set and element type. Nothing needs to be aligned. Counts are in elements.
namespace normgraph::kernel::simd {

/// `result` may be `first` or `second`. Operations with one operand do not look at `second`.
using ElementWiseLoop = void (*)(const std::byte* first, const std::byte* second, std::byte* result,
                                 std::int64_t count);

/// Rows that follow each other by row_stride bytes, for sums of columns.
struct ColumnRows {
    const std::byte* address;
    std::int64_t row_stride, rows, columns;
    std::int64_t first_lane;  ///< of the first row; row r belongs to lane (first_lane + r) mod 8
    double* lanes;            ///< [8][lane_stride]: added to; whole steps are writable
    std::int64_t lane_stride;
};

/// The loops of one element type.
struct PrimitiveMicroKernels {
    /// By ElementWiseOperation: all but convert.
    std::array<ElementWiseLoop, binary_operation_count + unary_operation_count> operations;
    /// From this type, by ElementType of the result.
    std::array<ElementWiseLoop, 4> convert_to;
    /// One block of a PrimitiveSum, its lanes folded; count <= block_length.
    double (*sum_block)(const std::byte* values, std::int64_t count);
    void (*add_rows)(const ColumnRows& rows);
    /// A bit for each element, 1 where it is not 0 and below the bound, a number of their type or
    /// no_upper_bound; those of the last byte beyond `count` are 0.
    void (*pack_passing)(const std::byte* values, std::int64_t count, double upper_bound,
                         std::byte* bits);
};

/// The piece of a product of matrices that registers hold.
inline constexpr std::int64_t product_rows = 4;
inline constexpr std::int64_t product_columns = 16;

/// sums[row · sums_stride + column] += Σ_k left[k][row] · right[k][column], in ascending order of
/// k. left is [depth][product_rows], right [depth][product_columns].
using MultiplyPiece = void (*)(const double* left, const double* right, std::int64_t depth,
                               double* sums, std::int64_t sums_stride);

}  // namespace normgraph::kernel::simd
