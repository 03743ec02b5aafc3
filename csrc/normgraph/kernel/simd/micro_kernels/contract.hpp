#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/element_type.hpp"
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
    /// While an element is read, the memory at this distance from it is prefetched.
    std::int64_t prefetch_distance = 0;
};

struct TargetTile {
    std::byte* address = nullptr;
    std::int64_t channel_stride = 0, row_stride = 0;
    bool streams = false;  ///< written with non-temporal stores where they are aligned
    /// Whole vectors may be written beyond the end of a row: what lies there belongs to later rows.
    bool is_padded = false;
};

/// One bit per element, least significant first, each row beginning with a byte of its own.
struct MaskTile {
    std::byte* address = nullptr;
    std::int64_t channel_stride = 0, row_stride = 0;
};

/// Per-channel (rows) or per-column (columns) values: value k of the tile's channel c is
/// values[k·stride + first + c].
/// For columns, whole steps are readable beyond the last one.
struct ChannelValues {
    const void* values;  ///< double for shifts, arithmetic_t<Data> for coefficients
    std::int64_t stride;
    std::int64_t first;
};

/// `sums`, of rows: 2 · lanes_per_step lanes per channel, [channel][sum][lane]. Of columns:
/// [sum][column], with sum_stride between the two sums. Sums are added to what stands there.
struct SumTile {
    double* sums;
    std::int64_t sum_stride;
};

using Reduce = void (*)(const TileExtent&, const SourceTile* sources, const MaskTile& mask,
                        const double* shifts, const SumTile& sums);
using Apply = void (*)(const TileExtent&, const SourceTile* sources, const MaskTile& mask,
                       const ChannelValues& coefficients, const TargetTile& target);

/// A reduction or an element-wise formula, for either direction of traversal.
template <typename Function>
struct RowsAndColumns {
    Function rows, columns;
};

/// The loops of one element type.
struct MicroKernels {
    RowsAndColumns<Reduce> moments;      ///< source: input
    RowsAndColumns<Reduce> deltas;       ///< sources: input, normalized_delta; shifts: means
    RowsAndColumns<Reduce> relu_deltas;  ///< as deltas, normalized_delta masked
    RowsAndColumns<Apply> normalize;
    RowsAndColumns<Apply> normalize_relu;  ///< writes the mask
    RowsAndColumns<Apply> input_delta;
    RowsAndColumns<Apply> relu_input_delta;    ///< reads the mask
    RowsAndColumns<Apply> frozen_input_delta;  ///< source: normalized_delta
    PrimitiveMicroKernels primitives;
};

/// The loops of one instruction set, by element type.
struct MicroKernelTable {
    MicroKernels f16, bf16, f32, f64;
    MultiplyPiece multiply_piece;

    const MicroKernels& operator[](ElementType type) const {
        switch (type) {
            case ElementType::f16:
                return f16;
            case ElementType::bf16:
                return bf16;
            case ElementType::f32:
                return f32;
            case ElementType::f64:
                break;
        }
        return f64;
    }
};

}  // namespace normgraph::kernel::simd
