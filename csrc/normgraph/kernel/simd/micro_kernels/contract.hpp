#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/moments.hpp"
#include "normgraph/kernel/simd/micro_kernels/primitive_contract.hpp"
#include "normgraph/kernel/summation_order.hpp"

/// The loops over elements, compiled once per instruction set and element type, and called through
/// tables of function pointers. All else of a kernel (traversal, staging, coefficients, threads) is
/// compiled once, without wide instructions. Strides are in bytes, lengths in elements.
namespace normgraph::kernel::simd {

/// The sums that a reduction makes of each channel.
inline constexpr std::int64_t sums_per_channel = 2;

/// Rows of elements that lie side by side; row r of channel c begins at
/// address + c·channel_stride + r·row_stride. With channels_last a tile is one "channel", its rows
/// run across the channels, and every column has sums and coefficients of its own.
struct TileExtent {
    std::int64_t channels, rows, length;
};

struct SourceTile {
    const std::byte* address = nullptr;
    std::int64_t channel_stride = 0, row_stride = 0;
    /// Whole vectors may be read up to here, beyond the end of a row; null: no element more.
    const std::byte* readable_end = nullptr;
    /// While an element is read, the memory at this distance from it is prefetched. Along columns
    /// it is shared by all sources, and 0 if these are likely to be in a cache.
    std::int64_t prefetch_distance = 0;
};

struct TargetTile {
    std::byte* address = nullptr;
    std::int64_t channel_stride = 0, row_stride = 0;
    bool streams = false;  ///< written with non-temporal stores where they are aligned
    /// Whole vectors may be written up to here, beyond the end of a row: what lies there belongs to
    /// rows that are written later; null: no element more.
    const std::byte* writable_end = nullptr;
};

/// One bit per element, least significant first, each row beginning with a byte of its own.
struct MaskTile {
    std::byte* address = nullptr;
    std::int64_t channel_stride = 0, row_stride = 0;
};

/// Coefficients per channel (rows) or per column (columns): value k of the tile's channel c is
/// values[k·stride + first + c].
/// For columns, whole steps are readable beyond the last one.
struct ChannelValues {
    const void* values;  ///< arithmetic_t<Data>
    std::int64_t stride;
    std::int64_t first;
};

/// Where sums are added to what stands there. `sums` are term_t<Data>: of rows
/// [channel][sum][lane], of columns [sum][column], with sum_stride between the two sums. For 16-bit
/// data these are the sums of chains. Along rows the kernel ends the chains of a block itself: the
/// tile begins with step `first_step` of the block, and `totals`, [channel][sum][lane], take what
/// chains add up to: the first ones set them, when the second ones begin. Along columns a tile does
/// not go beyond the end of a chain.
///
/// A tile of rows that is a whole block has no sums: the kernel begins with zeros, and sets `node`,
/// [sum][channel], with sum_stride between the two sums.
struct SumTile {
    void* sums;
    std::int64_t sum_stride;
    double* totals = nullptr;
    std::int64_t first_step = 0;
    double* node = nullptr;
};

/// Sets the node of a block, [sum][channel], from its sums along rows (see SumTile). The totals are
/// null where the chains are the block's first.
using FoldRows = void (*)(const SumTile& sums, std::int64_t channels);

/// `shifts`: term_t<Data>, one per channel (rows) or column (columns).
using Reduce = void (*)(const TileExtent&, const SourceTile* sources, const MaskTile& mask,
                        const void* shifts, const SumTile& sums);
/// Sets the shifts (term_t<Data>) of a block from its first, its middle and its last element, for
/// channels that follow each other with a stride. What lies behind these at `prefetch_distance` is
/// prefetched, unless that is 0.
using BlockShifts = void (*)(const std::array<const std::byte*, 3>& elements,
                             std::int64_t channel_stride, std::int64_t channels,
                             std::int64_t prefetch_distance, void* shifts);
using Apply = void (*)(const TileExtent&, const SourceTile* sources, const MaskTile& mask,
                       const ChannelValues& coefficients, const TargetTile& target);

/// Adds the sums of chains (term_t<Data>) of 16-bit data to the totals, and sets them to 0: of so
/// many columns, a whole number of steps. The first chains of a block set the totals.
using AddChains = void (*)(void* sums, double* totals, std::int64_t columns, bool are_first);

/// Sets the moments of `channels` channels, [value][channel] with `stride` between the two values,
/// in place of the sums of a block of `count` elements each about the shifts (term_t<Data>).
/// Arrays are readable and writable in whole steps.
using MakeMoments = void (*)(const void* shifts, double* node, std::int64_t stride,
                             std::int64_t channels, double count);

/// A reduction or an element-wise formula, for either direction of traversal.
template <typename Function>
struct RowsAndColumns {
    Function rows, columns;
};

/// Sets `right` to the node of `left` and of itself, which stands to the right of it. A node is
/// [value][length / 2], of a whole number of steps each.
using CombineNodes = void (*)(const double* left, double* right, std::int64_t length,
                              const MergeFactors& factors);

/// Sets each of `count` variances to 1/√(variance + epsilon), and each of `count` values to their
/// quotient by the divisor: in whole vectors, at most widest_vector values more.
using InverseDeviations = void (*)(double* variances, std::int64_t count, double epsilon);
using Divide = void (*)(double* values, std::int64_t count, double divisor);

/// The loops over the values of channels.
struct ChannelKernels {
    InverseDeviations inverse_deviations;
    Divide divide;
};

/// The loops of one element type.
struct MicroKernels {
    BlockShifts block_shifts;
    MakeMoments make_moments;
    FoldRows fold_rows;
    AddChains add_chains;
    RowsAndColumns<Reduce> moments;      ///< source: input
    RowsAndColumns<Reduce> deltas;       ///< sources: input, normalized_delta; shifts: means
    RowsAndColumns<Reduce> relu_deltas;  ///< as deltas, normalized_delta masked
    RowsAndColumns<Apply> normalize;
    RowsAndColumns<Apply> normalize_relu;  ///< writes the mask, as do the next two
    RowsAndColumns<Apply> normalize_relu_to_bound;
    RowsAndColumns<Apply> normalize_add_relu_to_bound;       ///< sources: input, residual
    RowsAndColumns<Apply> unmasked_normalize_relu_to_bound;  ///< as the two before, without a mask
    RowsAndColumns<Apply> unmasked_normalize_add_relu_to_bound;
    RowsAndColumns<Apply> input_delta;  ///< where all units are 1
    RowsAndColumns<Apply> scaled_input_delta;
    RowsAndColumns<Apply> relu_input_delta;  ///< reads the mask, as does the next one
    RowsAndColumns<Apply> scaled_relu_input_delta;
    RowsAndColumns<Apply> frozen_input_delta;  ///< source: normalized_delta
    RowsAndColumns<Apply> select;              ///< what a mask selects of its source
    PrimitiveMicroKernels primitives;
};

/// The loops of one instruction set for each element type.
struct MicroKernelsByType {
    MicroKernels f16, bf16, f32, f64;
};

/// The loops of one instruction set; those of an element type may be another one's.
struct MicroKernelTable {
    const MicroKernels *f16, *bf16, *f32, *f64;
    MultiplyPiece multiply_piece;
    CombineNodes merge_moments;
    ChannelKernels channels;

    const MicroKernels& operator[](ElementType type) const {
        switch (type) {
            case ElementType::f16:
                return *f16;
            case ElementType::bf16:
                return *bf16;
            case ElementType::f32:
                return *f32;
            case ElementType::f64:
                break;
        }
        return *f64;
    }
};

}  // namespace normgraph::kernel::simd
