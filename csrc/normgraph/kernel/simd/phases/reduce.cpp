#include <algorithm>
#include <array>
#include <optional>

#include "normgraph/kernel/simd/phases/columns.hpp"
#include "normgraph/kernel/simd/phases/fold_lanes.hpp"
#include "normgraph/kernel/simd/phases/group_values.hpp"
#include "normgraph/kernel/simd/phases/node_tree.hpp"
#include "normgraph/kernel/simd/phases/phases.hpp"
#include "normgraph/kernel/simd/staging/counted_copies.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::simd {
namespace {

/// Room for `count` values of the type in which terms are added.
std::byte* take_sums(const Geometry& geometry, std::int64_t count, Scratch& scratch) {
    return scratch.take<std::byte>(count * geometry.term_size());
}

/// The sums of one block of a group along rows: a step's lanes for each channel and sum.
class RowBlock {
public:
    RowBlock(const Geometry& geometry, const ChannelRange& channels, Scratch& scratch)
        : geometry_(geometry),
          channels_(channels),
          values_(geometry.values_per_group(channel_count())),
          lane_sums_(take_sums(geometry, channel_count() * lanes_per_channel(), scratch)),
          totals_(geometry.has_chains()
                      ? scratch.take<double>(channel_count() * lanes_per_channel())
                      : reinterpret_cast<double*>(lane_sums_)),
          node_(scratch.take<double>(sums_per_channel * values_)) {}

    static std::size_t bytes(const Geometry& geometry, std::int64_t channels) {
        const std::int64_t lanes = channels * sums_per_channel * geometry.order.lanes;
        const std::int64_t doubles = (geometry.has_chains() ? lanes : 0) +
                                     sums_per_channel * geometry.values_per_group(channels);
        return static_cast<std::size_t>(lanes * geometry.term_size()) +
               static_cast<std::size_t>(doubles) * sizeof(double) + 3 * Scratch::line;
    }

    void begin(const BlockExtent& extent) {
        extent_ = extent;
        has_sums_ = false;
    }

    void add(const Reduction& reduction, const Tile& tile, const StagedTile& staged,
             const std::byte* shifts) {
        const std::int64_t skipped = tile.channels.begin - channels_.begin;
        SumTile sums{nullptr, values_, nullptr, 0, node_ + skipped};
        if (!is_whole_block(tile)) {
            if (!has_sums_) {
                clear();
            }
            const std::int64_t lanes = skipped * lanes_per_channel();
            sums = {lane_sums_ + lanes * geometry_.term_size(), 0, totals_ + lanes, step_of(tile)};
        }
        reduction.kernel.rows({tile.channel_count(), tile.rows, tile.count}, staged.sources.data(),
                              staged.mask, shifts + skipped * geometry_.term_size(), sums);
    }

    double* folded(const Reduction& reduction) const {
        if (has_sums_) {
            reduction.fold_rows({lane_sums_, values_, has_totals() ? totals_ : nullptr, 0, node_},
                                channel_count());
        }
        return node_;
    }

private:
    /// Tiles of a block differ in their channels alone if one is the whole block of its channels.
    bool is_whole_block(const Tile& tile) const {
        return tile.row == extent_.row && tile.rows == extent_.row_end - extent_.row &&
               tile.first == extent_.first && tile.count == extent_.end - extent_.first;
    }
    std::int64_t steps_per_row() const {
        return divide_up(extent_.end - extent_.first, geometry_.order.lanes);
    }
    std::int64_t step_of(const Tile& tile) const {
        return (tile.row - extent_.row) * steps_per_row() +
               (tile.first - extent_.first) / geometry_.order.lanes;
    }
    /// Whether the block's chains are more than its first ones.
    bool has_totals() const {
        return (extent_.row_end - extent_.row) * steps_per_row() > steps_per_chain;
    }
    void clear() {
        std::fill_n(lane_sums_, channel_count() * lanes_per_channel() * geometry_.term_size(),
                    std::byte{0});
        has_sums_ = true;
    }
    std::int64_t lanes_per_channel() const { return sums_per_channel * geometry_.order.lanes; }
    std::int64_t channel_count() const { return channels_.end - channels_.begin; }

    const Geometry& geometry_;
    ChannelRange channels_;
    BlockExtent extent_{};
    bool has_sums_ = false;  ///< of tiles that are less than the block
    std::int64_t values_;
    std::byte* lane_sums_;  ///< [channel][sum][lane]; of chains, where there are any
    double* totals_;        ///< the same of the block
    double* node_;
};

/// The sums of one block of a group along columns: for each sum the lanes of all channels, which
/// are folded in place.
class ColumnBlock {
public:
    ColumnBlock(const Geometry& geometry, const ChannelRange& channels, Scratch& scratch)
        : geometry_(geometry),
          channel_count_(channels.end - channels.begin),
          values_(geometry.values_per_group(channel_count_)),
          column_sums_(take_sums(geometry, sums_per_channel * values_, scratch)),
          totals_(geometry.has_chains() ? scratch.take<double>(sums_per_channel * values_)
                                        : reinterpret_cast<double*>(column_sums_)) {
        clear();
    }

    static std::size_t bytes(const Geometry& geometry, std::int64_t channels) {
        const std::int64_t values = sums_per_channel * geometry.values_per_group(channels);
        const std::int64_t totals = geometry.has_chains() ? values : 0;
        return static_cast<std::size_t>(values * geometry.term_size()) +
               static_cast<std::size_t>(totals) * sizeof(double) + 2 * Scratch::line;
    }

    void begin(const BlockExtent& extent) {
        first_ = extent.first;
        has_totals_ = false;
        if (is_folded_ && !geometry_.has_chains()) {
            clear();
        }
        is_folded_ = false;
    }

    void add(const Reduction& reduction, const Tile& tile, const StagedTile& staged,
             const std::byte* shifts) {
        std::int64_t step = (tile.first - first_) / geometry_.order.lanes;
        const auto add_rows = [&](const TileExtent& extent, const StagedTile& part) {
            reduction.kernel.columns(extent, part.sources.data(), part.mask, shifts,
                                     {column_sums_, values_});
        };
        for_each_extent_of_columns(
            geometry_, tile, staged, [&](TileExtent extent, StagedTile part) {
                if (!geometry_.has_chains()) {
                    return add_rows(extent, part);
                }
                for (std::int64_t left = extent.rows; left > 0; left -= extent.rows) {
                    if (step != 0 && step % steps_per_chain == 0) {
                        end_chains(reduction);
                    }
                    extent.rows = std::min(left, steps_per_chain - step % steps_per_chain);
                    add_rows(extent, part);
                    part.skip_rows(extent.rows);
                    step += extent.rows;
                }
            });
    }

    double* folded(const Reduction& reduction) {
        if (geometry_.has_chains()) {
            end_chains(reduction);
        }
        is_folded_ = true;
        for (std::int64_t sum = 0; sum < sums_per_channel; ++sum) {
            fold_lanes(totals_ + sum * values_, channel_count_, geometry_.columns_per_channel());
        }
        return totals_;
    }

private:
    void clear() {
        std::fill_n(column_sums_, sums_per_channel * values_ * geometry_.term_size(), std::byte{0});
    }
    void end_chains(const Reduction& reduction) {
        reduction.add_chains(column_sums_, totals_, sums_per_channel * values_, !has_totals_);
        has_totals_ = true;
    }

    const Geometry& geometry_;
    std::int64_t channel_count_, values_;
    std::int64_t first_ = 0;
    bool has_totals_ = false;  ///< of chains that have ended
    bool is_folded_ = false;
    std::byte*
        column_sums_;  ///< [sum][column]; of chains, where there are any: cleared as they end
    double* totals_;   ///< the same of the block
};

/// Sets the shifts of a block, one per column.
void set_shifts_of_block(const Traversal& traversal, BlockShifts shifts_of,
                         const ChannelRange& channels, const BlockExtent& block,
                         const BlockExtent& next, std::byte* shifts) {
    const Geometry& geometry = traversal.geometry();
    const std::int64_t count = channels.end - channels.begin;
    shifts_of(traversal.shift_elements(channels.begin, block), traversal.channel_stride(), count,
              traversal.distance(block, next), shifts);
    repeat(shifts, count * geometry.term_size(), geometry.columns_per_channel());
}

template <typename Block>
void reduce_blocks(const Traversal& traversal, const Reduction& reduction,
                   const ChannelRange& channels, const BlockRange& blocks, const std::byte* shifts,
                   const GroupCopies& copies, double* node, Scratch& scratch) {
    const Scratch::Frame frame(scratch);
    const Geometry& geometry = traversal.geometry();
    const std::int64_t count = channels.end - channels.begin;
    const std::int64_t values = geometry.values_per_group(count);
    const std::int64_t length = sums_per_channel * values;
    const std::int64_t per_leaf = geometry.order.blocks_per_leaf;
    const std::int64_t levels = LeafTree::levels_for(blocks.end - blocks.begin, per_leaf);
    Block block(geometry, channels, scratch);
    LeafTree tree(scratch.take<double>(length * levels), length, reduction.combine, per_leaf);
    std::byte* const own_shifts = take_sums(geometry, values, scratch);
    const TileBuffers buffers = traversal.take_buffers(count, scratch);
    std::optional<CountedCopies> counted_copies;
    if (traversal.positions() != nullptr) {
        counted_copies.emplace(traversal, count, scratch);
    }
    for (std::int64_t index = blocks.begin; index < blocks.end; ++index) {
        stop_if_interrupted();
        const BlockExtent extent = geometry.order.extent_of(index);
        const std::int64_t elements = extent.element_count();
        const std::int64_t counted = traversal.counted_in(extent);
        const bool has_own_shifts = reduction.shifts_of_block != nullptr;
        if (has_own_shifts && counted > 0) {
            const BlockExtent next = geometry.order.extent_of(std::min(index + 1, blocks.end - 1));
            set_shifts_of_block(traversal, reduction.shifts_of_block, channels, extent, next,
                                own_shifts);
            shifts = own_shifts;
        }
        if (counted < elements && !reduction.takes_gradient) {
            counted_copies->set_shifts(shifts);
        }
        block.begin(extent);
        const bool adds = counted > 0 || reduction.takes_gradient;
        const auto add_tile = [&](const Tile& tile) {
            StagedTile staged = traversal.stage(Phase::reduce, tile, buffers, copies);
            if (!adds) {
                return;
            }
            if (counted < elements) {
                staged = reduction.takes_gradient
                             ? counted_copies->copy_beside_gradient(tile, staged)
                             : counted_copies->copy(tile, staged, channels.begin);
            }
            block.add(reduction, tile, staged, shifts);
        };
        // Sums of what adds nothing are zeros; apply may need its copy all the same.
        if (adds || copies.are_being_made()) {
            traversal.tiles(Phase::reduce, channels, extent, copies, counted < elements)
                .for_each(add_tile);
        }
        double* const block_node = block.folded(reduction);
        if (counted == 0 && !reduction.takes_gradient) {
            std::fill_n(block_node, length, 0.0);
        } else if (has_own_shifts) {
            reduction.make_moments(shifts, block_node, values, count, static_cast<double>(counted));
        }
        if (blocks.end - blocks.begin == 1) {
            std::copy_n(block_node, length, node);
            return;
        }
        tree.append(block_node, static_cast<double>(has_own_shifts ? counted : elements));
    }
    tree.total(node);
}

/// Blocks at equal distances that a micro-kernel takes in the place of channels.
constexpr std::int64_t most_blocks_together = 2 * widest_vector;

/// As many of a group, whose nodes stay in the L1 cache.
std::int64_t blocks_together(const Geometry& geometry, std::int64_t channels) {
    constexpr std::int64_t most_values = 1024;
    return std::clamp<std::int64_t>(most_values / geometry.values_per_group(channels), 4,
                                    most_blocks_together);
}

/// The nodes of several blocks of a channel.
class BlocksOfChannel {
public:
    BlocksOfChannel(const Traversal& traversal, const Reduction& reduction,
                    const ChannelRange& channels, const std::byte* shifts, Scratch& scratch)
        : traversal_(traversal),
          geometry_(traversal.geometry()),
          reduction_(reduction),
          channels_(channels),
          channel_shifts_(shifts),
          shifts_(take_sums(geometry_, most_blocks_together, scratch)),
          nodes_(scratch.take<double>(sums_per_channel * most_blocks_together)) {}

    static std::size_t bytes(const Geometry& geometry) {
        return static_cast<std::size_t>(most_blocks_together) *
                   (static_cast<std::size_t>(geometry.term_size()) +
                    sums_per_channel * sizeof(double)) +
               2 * Scratch::line;
    }

    /// Writes to nodes[block][value][channel], with `length` doubles for each block.
    void reduce(std::int64_t channel, const BlockRange& blocks, double* nodes,
                std::int64_t length) const {
        for (std::int64_t first = blocks.begin; first < blocks.end;) {
            const std::int64_t count = geometry_.order.equal_blocks(first, blocks.end);
            reduce_equal(channel, first, count);
            double* node = nodes + (first - blocks.begin) * length + channel - channels_.begin;
            for (std::int64_t block = 0; block < count; ++block, node += length) {
                node[0] = nodes_[block];
                node[length / sums_per_channel] = nodes_[most_blocks_together + block];
            }
            first += count;
        }
    }

private:
    void reduce_equal(std::int64_t channel, std::int64_t first, std::int64_t count) const {
        const BlockExtent extent = geometry_.order.extent_of(first);
        const StagedTile staged = traversal_.blocks_of_channel(channel, first, count);
        set_shifts(channel, extent, staged.sources[0].channel_stride, count);
        reduction_.kernel.rows({count, extent.row_end - extent.row, extent.end - extent.first},
                               staged.sources.data(), staged.mask, shifts_,
                               {nullptr, most_blocks_together, nullptr, 0, nodes_});
        if (reduction_.shifts_of_block != nullptr) {
            reduction_.make_moments(shifts_, nodes_, most_blocks_together, count,
                                    static_cast<double>(extent.element_count()));
        }
    }
    void set_shifts(std::int64_t channel, const BlockExtent& extent, std::int64_t distance,
                    std::int64_t count) const {
        if (reduction_.shifts_of_block != nullptr) {
            return reduction_.shifts_of_block(traversal_.shift_elements(channel, extent), distance,
                                              count, 0, shifts_);
        }
        const std::int64_t size = geometry_.term_size();
        const std::byte* const shift = channel_shifts_ + (channel - channels_.begin) * size;
        for (std::int64_t block = 0; block < count; ++block) {
            std::copy_n(shift, size, shifts_ + block * size);
        }
    }

    const Traversal& traversal_;
    const Geometry& geometry_;
    const Reduction& reduction_;
    ChannelRange channels_;
    const std::byte* channel_shifts_;
    std::byte* shifts_;  ///< of each block
    double* nodes_;      ///< [value][block]
};

/// Whether a channel's blocks are better taken several at a time: those of one channel, and the
/// pieces of long rows, which lie side by side.
bool takes_blocks_together(const Traversal& traversal, const ChannelRange& channels) {
    const std::int64_t count = channels.end - channels.begin;
    const bool has_pieces = traversal.geometry().order.blocks_along_leaf > 1;
    return traversal.reduces_blocks_together() && (count == 1 || has_pieces);
}

void reduce_blocks_together(const Traversal& traversal, const Reduction& reduction,
                            const ChannelRange& channels, const BlockRange& blocks,
                            const std::byte* shifts, const GroupCopies& /*copies*/, double* node,
                            Scratch& scratch) {
    const Scratch::Frame frame(scratch);
    const SummationOrder& order = traversal.geometry().order;
    const std::int64_t count = channels.end - channels.begin;
    const std::int64_t length = sums_per_channel * traversal.geometry().values_per_group(count);
    const std::int64_t per_leaf = order.blocks_per_leaf;
    const std::int64_t levels = LeafTree::levels_for(blocks.end - blocks.begin, per_leaf);
    LeafTree tree(scratch.take<double>(length * levels), length, reduction.combine, per_leaf);
    const std::int64_t most =
        std::min(blocks_together(traversal.geometry(), count), blocks.end - blocks.begin);
    auto* const nodes = scratch.take<double>(most * length);
    std::fill_n(nodes, most * length, 0.0);
    const BlocksOfChannel several(traversal, reduction, channels, shifts, scratch);
    for (std::int64_t begin = blocks.begin; begin < blocks.end;) {
        stop_if_interrupted();
        const std::int64_t row_end =
            count == 1 ? blocks.end : round_up(begin + 1, order.blocks_along_leaf);
        const std::int64_t end = std::min({begin + most, row_end, blocks.end});
        for (std::int64_t channel = channels.begin; channel < channels.end; ++channel) {
            several.reduce(channel, {begin, end}, nodes, length);
        }
        for (std::int64_t block = begin; block < end; ++block) {
            tree.append(nodes + (block - begin) * length,
                        static_cast<double>(order.extent_of(block).element_count()));
        }
        begin = end;
    }
    tree.total(node);
}

}  // namespace

void reduce(const Traversal& traversal, const Reduction& reduction, const ChannelRange& channels,
            const BlockRange& blocks, const std::byte* shifts, const GroupCopies& copies,
            double* node, Scratch& scratch) {
    const auto run = takes_blocks_together(traversal, channels) ? reduce_blocks_together
                     : traversal.geometry().is_along_rows()     ? reduce_blocks<RowBlock>
                                                                : reduce_blocks<ColumnBlock>;
    run(traversal, reduction, channels, blocks, shifts, copies, node, scratch);
}

std::size_t reduce_bytes(const Traversal& traversal, std::int64_t channels, std::int64_t blocks) {
    const Geometry& geometry = traversal.geometry();
    const std::size_t block = geometry.is_along_rows() ? RowBlock::bytes(geometry, channels)
                                                       : ColumnBlock::bytes(geometry, channels);
    const std::int64_t values = geometry.values_per_group(channels);
    const std::int64_t per_leaf = std::max<std::int64_t>(1, geometry.order.blocks_per_leaf);
    const std::int64_t tree = sums_per_channel * values * LeafTree::levels_for(blocks, per_leaf);
    const std::int64_t nodes = blocks_together(geometry, channels) * sums_per_channel * values;
    const std::size_t copies =
        traversal.positions() == nullptr ? 0 : CountedCopies::bytes(traversal, channels);
    return block + static_cast<std::size_t>(tree + values + nodes) * sizeof(double) + copies +
           BlocksOfChannel::bytes(geometry) + 3 * Scratch::line + traversal.buffer_bytes(channels);
}

}  // namespace normgraph::kernel::simd
