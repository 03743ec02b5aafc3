// A task makes a tile of the result. It goes along the depth in steps: the step's part of both
// matrices is copied as doubles, in the order in which registers take it, and stays in the caches
// while every element of the tile adds its products, each element in ascending order of depth.

#include <algorithm>
#include <cstring>
#include <utility>

#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "normgraph/kernel/threads/interruption.hpp"
#include "normgraph/kernel/threads/share_range.hpp"
#include "normgraph/kernel/tuning.hpp"

namespace normgraph::kernel::simd {
namespace {

constexpr std::int64_t tile_rows = product_tile_rows;
constexpr std::int64_t tile_columns = product_tile_columns;
constexpr std::int64_t tile_depth = product_tile_depth;
static_assert(tile_rows % product_rows == 0 && tile_columns % product_columns == 0);

/// The indices from begin up to end.
struct IndexRange {
    std::int64_t begin, end;
};

/// The indices of a tile; depth is the part that one step takes.
struct Extent {
    IndexRange rows, columns, depth;
};

std::int64_t length(const IndexRange& range) {
    return range.end - range.begin;
}

constexpr std::size_t scratch_bytes =
    static_cast<std::size_t>(tile_rows * tile_columns + tile_depth * tile_columns +
                             tile_depth * product_rows) *
        sizeof(double) +
    4 * Scratch::line;

/// to[step][index] for the indices of a piece, zeros for those beyond `outer`.
template <typename Data, std::int64_t piece>
void pack(const std::byte* from, std::int64_t outer_stride, std::int64_t depth_stride,
          std::int64_t outer, std::int64_t depth, double* to) {
    for (std::int64_t step = 0; step < depth; ++step) {
        const std::byte* const address = from + step * depth_stride;
        double* const target = to + step * piece;
        for (std::int64_t index = 0; index < outer; ++index) {
            target[index] = static_cast<double>(load<Data>(address + index * outer_stride));
        }
        std::fill(target + outer, target + piece, 0.0);
    }
}

template <typename Data>
class ProductTile {
public:
    ProductTile(const MultiplyPiece multiply, const MatrixMultiplyArguments& arguments,
                Scratch& scratch)
        : multiply_(multiply),
          arguments_(arguments),
          sums_(scratch.take<double>(tile_rows * tile_columns)),
          right_(scratch.take<double>(tile_depth * tile_columns)),
          left_(scratch.take<double>(tile_depth * product_rows)) {}

    void run(const IndexRange& rows, const IndexRange& columns) {
        std::fill_n(sums_, tile_rows * tile_columns, 0.0);
        for (std::int64_t begin = 0; begin < arguments_.depth; begin += tile_depth) {
            stop_if_interrupted();
            const IndexRange depth{begin, std::min(begin + tile_depth, arguments_.depth)};
            add_step({rows, columns, depth});
        }
        write(rows, columns);
    }

private:
    void add_step(const Extent& extent) {
        const std::int64_t depth = length(extent.depth);
        const auto& [left, right] = std::pair(arguments_.left, arguments_.right);
        for (std::int64_t column = 0; column < length(extent.columns); column += product_columns) {
            pack<Data, product_columns>(right.address + extent.depth.begin * right.strides[0] +
                                            (extent.columns.begin + column) * right.strides[1],
                                        right.strides[1], right.strides[0],
                                        std::min(product_columns, length(extent.columns) - column),
                                        depth, right_ + column * depth);
        }
        for (std::int64_t row = 0; row < length(extent.rows); row += product_rows) {
            pack<Data, product_rows>(left.address + (extent.rows.begin + row) * left.strides[0] +
                                         extent.depth.begin * left.strides[1],
                                     left.strides[0], left.strides[1],
                                     std::min(product_rows, length(extent.rows) - row), depth,
                                     left_);
            for (std::int64_t column = 0; column < length(extent.columns);
                 column += product_columns) {
                multiply_(left_, right_ + column * depth, depth,
                          sums_ + row * tile_columns + column, tile_columns);
            }
        }
    }

    void write(const IndexRange& rows, const IndexRange& columns) const {
        const Tensor& result = arguments_.result;
        for (std::int64_t row = 0; row < length(rows); ++row) {
            std::byte* const address = result.address + (rows.begin + row) * result.strides[0] +
                                       columns.begin * result.strides[1];
            for (std::int64_t column = 0; column < length(columns); ++column) {
                const Data rounded = rounded_once<Data>(sums_[row * tile_columns + column]);
                std::memcpy(address + column * result.strides[1], &rounded, sizeof(Data));
            }
        }
    }

    MultiplyPiece multiply_;
    const MatrixMultiplyArguments& arguments_;
    double* sums_;   // [tile_rows][tile_columns]
    double* right_;  // [column / product_columns][depth][product_columns]
    double* left_;   // [depth][product_rows]
};

}  // namespace

void run_kernel(const MicroKernelTable& table, const MatrixMultiplyArguments& arguments,
                std::int64_t num_threads) {
    const std::int64_t across = divide_up(arguments.columns, tile_columns);
    const std::int64_t tiles = divide_up(arguments.rows, tile_rows) * across;
    // A product takes about as long as an element-wise operation on four elements.
    const std::int64_t work = arguments.rows * arguments.columns * (1 + arguments.depth / 4);
    parallel_for(tiles, useful_threads(work, work_per_thread, num_threads), [&](std::int64_t task) {
        Scratch& scratch = Scratch::of_this_thread();
        scratch.reserve(scratch_bytes);
        const std::int64_t row = task / across * tile_rows;
        const std::int64_t column = task % across * tile_columns;
        with_data_type(arguments.type, [&]<typename Data>() {
            ProductTile<Data>(table.multiply_piece, arguments, scratch)
                .run({row, std::min(row + tile_rows, arguments.rows)},
                     {column, std::min(column + tile_columns, arguments.columns)});
        });
    });
}

}  // namespace normgraph::kernel::simd
