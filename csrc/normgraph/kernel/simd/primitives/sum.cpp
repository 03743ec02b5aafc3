// Memory traffic: the value is read once. Where it is large and the result
// small, several threads share the blocks of one element of the result; their
// sums are then added in the order of the tree, whoever made them.

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/primitive_sum.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/phases/fold_lanes.hpp"
#include "normgraph/kernel/simd/phases/node_tree.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "normgraph/kernel/strided/cursor.hpp"
#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/kernel/strided/ranges.hpp"
#include "normgraph/kernel/threads/interruption.hpp"
#include "normgraph/kernel/threads/share_range.hpp"
#include "normgraph/kernel/tuning.hpp"

namespace normgraph::kernel::simd {
namespace {

constexpr std::int64_t block_length = PrimitiveSum::block_length;

struct Axis {
    std::int64_t length, value_stride, result_stride;
};

/// The axes of the problem by what becomes of them. If there is a columns axis,
/// elements along it have sums of their own, which are made side by side.
struct Axes {
    std::vector<std::int64_t> kept_lengths, value_strides, result_strides;
    std::vector<std::int64_t> summed_lengths, summed_strides;
    Axis columns{1, 0, 0};

    explicit Axes(const SumArguments& arguments) {
        std::vector<Axis> kept;
        for (std::size_t axis = 0; axis < arguments.shape.size(); ++axis) {
            const std::int64_t length = arguments.shape[axis];
            const std::int64_t stride = arguments.value.strides[axis];
            if (kept.size() < arguments.kept_axes.size() &&
                arguments.kept_axes[kept.size()] == static_cast<std::int64_t>(axis)) {
                kept.push_back({length, stride, arguments.result.strides[kept.size()]});
            } else if (length != 1) {
                summed_lengths.push_back(length);
                summed_strides.push_back(stride);
            }
        }
        take_columns(kept, static_cast<std::int64_t>(size_of(arguments.type)));
        for (const Axis& axis : kept) {
            kept_lengths.push_back(axis.length);
            value_strides.push_back(axis.value_stride);
            result_strides.push_back(axis.result_stride);
        }
    }

private:
    /// The axis along which elements lie side by side, unless they do so along
    /// the summed ones, or the nearest to that if there is little to sum:
    /// beginning to takes longer.
    void take_columns(std::vector<Axis>& kept, std::int64_t size) {
        const auto distance = [](const Axis& axis) {
            return axis.length >= fewest_sum_columns ? std::abs(axis.value_stride)
                                                     : std::numeric_limits<std::int64_t>::max();
        };
        const auto nearest = std::ranges::min_element(kept, {}, distance);
        if (nearest == kept.end() || nearest->length < fewest_sum_columns) {
            return;
        }
        const bool has_rows = !summed_strides.empty() && summed_strides.back() == size;
        const bool are_side_by_side = nearest->value_stride == size && !has_rows;
        if (are_side_by_side || product(summed_lengths) <= most_elements_of_short_sum) {
            columns = *nearest;
            kept.erase(nearest);
        }
    }
};

/// One tile: the sums of neighbouring columns, or of one element.
struct TileOfSums {
    std::int64_t value_offset, result_offset, columns;
};

class Summation {
public:
    Summation(const PrimitiveMicroKernels& kernels, const SumArguments& arguments)
        : kernels_(kernels),
          arguments_(arguments),
          size_(static_cast<std::int64_t>(size_of(arguments.type))),
          axes_(arguments),
          values_(axes_.kept_lengths, axes_.value_strides),
          results_(axes_.kept_lengths, axes_.result_strides),
          summed_(axes_.summed_lengths, axes_.summed_strides),
          has_columns_(axes_.columns.length > 1),
          copies_columns_(has_columns_ && axes_.columns.value_stride != size_),
          most_columns_(cache_tuning().most_sum_columns),
          // What lies in another order is copied in more than one block, for the
          // sake of whole cache lines.
          blocks_per_copy_(has_columns_ || summed_.stride() == size_
                               ? 1
                               : std::max<std::int64_t>(
                                     1, cache_tuning().reused_bytes / (block_length * size_))),
          tiles_per_row_(divide_up(axes_.columns.length, most_columns_)),
          tile_width_(has_columns_
                          ? round_up(std::min(axes_.columns.length, most_columns_), most_lanes)
                          : 1) {}

    std::int64_t tile_count() const { return values_.element_count() * tiles_per_row_; }
    std::int64_t block_count() const { return PrimitiveSum::block_count(summed_.element_count()); }
    std::int64_t tile_width() const { return tile_width_; }

    TileOfSums tile(std::int64_t index) const {
        const std::int64_t first = index % tiles_per_row_ * most_columns_;
        const std::int64_t row = index / tiles_per_row_;
        return {TensorCursor(values_, row).offset() + first * axes_.columns.value_stride,
                TensorCursor(results_, row).offset() + first * axes_.columns.result_stride,
                std::min(axes_.columns.length - first, most_columns_)};
    }

    std::size_t scratch_bytes(std::int64_t blocks) const {
        const std::int64_t levels = NodeTree::levels_for(blocks) + 2 + PrimitiveSum::lanes;
        return static_cast<std::size_t>(levels * tile_width_) * sizeof(double) +
               static_cast<std::size_t>(copy_bytes()) + 5 * Scratch::line;
    }

    /// Writes to `sums`, one per column, those of the blocks from begin up to
    /// end: a node of the tree.
    void add_blocks(const TileOfSums& tile, std::int64_t begin, std::int64_t end, double* sums,
                    Scratch& scratch) const {
        const Scratch::Frame frame(scratch);
        auto* const levels = scratch.take<double>(NodeTree::levels_for(end - begin) * tile_width_);
        auto* const block = scratch.take<double>(tile_width_);
        NodeTree tree(levels, tile_width_);
        auto* const lanes =
            scratch.take<double>(has_columns_ ? PrimitiveSum::lanes * tile_width_ : 0);
        auto* const copy = scratch.take<std::byte>(copy_bytes());
        for (std::int64_t index = begin; index < end; index += blocks_per_copy_) {
            stop_if_interrupted();
            const std::int64_t first = index * block_length;
            const std::int64_t last = std::min(
                std::min(index + blocks_per_copy_, end) * block_length, summed_.element_count());
            if (has_columns_) {
                sum_columns(tile, first, last - first, copy, lanes, block);
                tree.append(block);
                continue;
            }
            const std::byte* values = elements(tile, first, last - first, copy);
            for (std::int64_t left = last - first; left > 0; left -= block_length) {
                block[0] = kernels_.sum_block(values, std::min(block_length, left));
                values += block_length * size_;
                tree.append(block);
            }
        }
        tree.total(sums);
    }

    void write(const TileOfSums& tile, const double* sums) const {
        const auto count = static_cast<double>(summed_.element_count());
        std::byte* const result = arguments_.result.address + tile.result_offset;
        with_data_type(arguments_.type, [&]<typename Data>() {
            for (std::int64_t column = 0; column < tile.columns; ++column) {
                const Data rounded =
                    rounded_once<Data>(arguments_.is_mean ? sums[column] / count : sums[column]);
                std::memcpy(result + column * axes_.columns.result_stride, &rounded, sizeof(Data));
            }
        });
    }

private:
    static constexpr std::int64_t lane_count = PrimitiveSum::lanes;

    std::int64_t copy_bytes() const {
        const std::int64_t rows =
            std::min(block_length * blocks_per_copy_, summed_.element_count());
        return copies_columns_ ? rows * tile_width_ * size_ : has_columns_ ? 0 : rows * size_;
    }

    /// Copies summed elements in logical order: [element][column].
    void copy_elements(const TileOfSums& tile, std::int64_t first, std::int64_t count,
                       std::byte* copy) const {
        const std::int64_t distance = tile.columns * size_;
        for_each_box_of_range(summed_, first, count, [&](const RangeBox& box, std::int64_t done) {
            std::vector<CopiedAxis> axes{{tile.columns, size_, axes_.columns.value_stride}};
            append_axes(axes, summed_, box, distance);
            copy_axes(copy + done * distance,
                      arguments_.value.address + tile.value_offset + box.offset, axes,
                      static_cast<std::size_t>(size_));
        });
    }

    /// Some elements of one sum, side by side: where they are, if they lie so, or
    /// a copy.
    const std::byte* elements(const TileOfSums& tile, std::int64_t first, std::int64_t count,
                              std::byte* copy) const {
        if (summed_.stride() == size_ && summed_.run_length(first, count) == count) {
            return arguments_.value.address + tile.value_offset + summed_.offset_of(first);
        }
        copy_elements(tile, first, count, copy);
        return copy;
    }

    /// One block of the sums of a tile's columns.
    void sum_columns(const TileOfSums& tile, std::int64_t first, std::int64_t length,
                     std::byte* copy, double* lanes, double* block) const {
        std::fill_n(lanes, lane_count * tile_width_, 0.0);
        const auto add_rows = [&](const std::byte* address, std::int64_t row_stride,
                                  std::int64_t row, std::int64_t rows) {
            kernels_.add_rows({
                .address = address,
                .row_stride = row_stride,
                .rows = rows,
                .columns = tile.columns,
                .first_lane = row % lane_count,
                .lanes = lanes,
                .lane_stride = tile_width_,
            });
        };
        if (copies_columns_) {
            copy_elements(tile, first, length, copy);
            add_rows(copy, tile.columns * size_, 0, length);
        } else {
            TensorCursor cursor(summed_, first);
            for (std::int64_t row = 0; row < length;) {
                const std::int64_t rows = std::min(length - row, cursor.run());
                add_rows(arguments_.value.address + tile.value_offset + cursor.offset(),
                         cursor.stride(), row, rows);
                cursor.advance(rows);
                row += rows;
            }
        }
        fold_lanes<lane_count>(lanes, tile_width_);
        std::copy_n(lanes, tile_width_, block);
    }

    const PrimitiveMicroKernels& kernels_;
    const SumArguments& arguments_;
    std::int64_t size_;
    Axes axes_;
    TensorAxes values_, results_, summed_;
    bool has_columns_, copies_columns_;
    std::int64_t most_columns_;
    std::int64_t blocks_per_copy_;
    std::int64_t tiles_per_row_;
    std::int64_t tile_width_;
};

/// Tiles are shared by the threads.
void run_by_tiles(const Summation& summation, std::int64_t threads) {
    const std::int64_t tiles = summation.tile_count();
    const std::int64_t blocks = summation.block_count();
    share_range(tiles, threads, [&](std::int64_t begin, std::int64_t end) {
        Scratch& scratch = Scratch::of_this_thread();
        scratch.reserve(summation.scratch_bytes(blocks));
        auto* const sums = scratch.take<double>(summation.tile_width());
        for (std::int64_t index = begin; index < end; ++index) {
            stop_if_interrupted(index);
            const TileOfSums tile = summation.tile(index);
            summation.add_blocks(tile, 0, blocks, sums, scratch);
            summation.write(tile, sums);
        }
    });
}

/// Blocks of few tiles are shared by the threads, in parts that are nodes of
/// the tree.
void run_by_parts(const Summation& summation, std::int64_t blocks_per_part, std::int64_t threads) {
    const std::int64_t tiles = summation.tile_count();
    const std::int64_t blocks = summation.block_count();
    const std::int64_t parts = divide_up(blocks, blocks_per_part);
    const std::int64_t width = summation.tile_width();
    std::vector<double> part_sums(static_cast<std::size_t>(tiles * parts * width));
    parallel_for(tiles * parts, threads, [&](std::int64_t task) {
        Scratch& scratch = Scratch::of_this_thread();
        scratch.reserve(summation.scratch_bytes(blocks_per_part));
        const std::int64_t begin = task % parts * blocks_per_part;
        summation.add_blocks(summation.tile(task / parts), begin,
                             std::min(blocks, begin + blocks_per_part),
                             part_sums.data() + task * width, scratch);
    });
    std::vector<double> levels(static_cast<std::size_t>(NodeTree::levels_for(parts) * width));
    std::vector<double> sums(static_cast<std::size_t>(width));
    for (std::int64_t index = 0; index < tiles; ++index) {
        NodeTree tree(levels.data(), width);
        for (std::int64_t part = 0; part < parts; ++part) {
            tree.append(part_sums.data() + (index * parts + part) * width);
        }
        tree.total(sums.data());
        summation.write(summation.tile(index), sums.data());
    }
}

}  // namespace

void run_kernel(const MicroKernelTable& table, const SumArguments& arguments,
                std::int64_t num_threads) {
    const Summation summation(table[arguments.type].primitives, arguments);
    const std::int64_t tiles = summation.tile_count();
    if (tiles == 0) {
        return;
    }
    const std::int64_t threads =
        useful_threads(product(arguments.shape), work_per_thread, num_threads);
    const std::int64_t wanted_parts = divide_up(threads * tasks_per_thread, tiles);
    const std::int64_t blocks = summation.block_count();
    if (threads <= 1 || wanted_parts <= 1 || blocks <= 1) {
        run_by_tiles(summation, threads);
        return;
    }
    const auto blocks_per_part =
        std::bit_ceil(static_cast<std::uint64_t>(divide_up(blocks, wanted_parts)));
    run_by_parts(summation, static_cast<std::int64_t>(blocks_per_part), threads);
}

}  // namespace normgraph::kernel::simd
