#include <algorithm>
#include <array>

#include "normgraph/kernel/simd/phases/block_sums.hpp"
#include "normgraph/kernel/simd/phases/columns.hpp"
#include "normgraph/kernel/simd/phases/fold_lanes.hpp"
#include "normgraph/kernel/simd/phases/phases.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::simd {
namespace {

/// The sums of one block of a group along rows: a step's lanes for each channel and sum.
class RowBlock {
public:
    RowBlock(const Geometry& geometry, const ChannelRange& channels, Scratch& scratch)
        : channels_(channels),
          values_(geometry.values_per_group(channel_count())),
          lanes_(scratch.take<double>(channel_count() * lanes_per_channel)),
          sums_(scratch.take<double>(sums_per_channel * values_)) {}

    static std::int64_t doubles(const Geometry& geometry, std::int64_t channels) {
        return channels * lanes_per_channel +
               sums_per_channel * geometry.values_per_group(channels);
    }

    void clear() const { std::fill_n(lanes_, channel_count() * lanes_per_channel, 0.0); }

    void add(const RowsAndColumns<Reduce>& kernel, const Tile& tile, const StagedTile& staged,
             const double* shifts) const {
        const std::int64_t skipped = tile.channels.begin - channels_.begin;
        kernel.rows({tile.channel_count(), tile.rows, tile.count}, staged.sources.data(),
                    staged.mask, shifts + skipped,
                    {lanes_ + skipped * lanes_per_channel, lanes_per_step});
    }

    double* folded() const {
        for (std::int64_t channel = 0; channel < channel_count(); ++channel) {
            for (std::int64_t sum = 0; sum < sums_per_channel; ++sum) {
                // A copy, which stays in registers.
                std::array<double, lanes_per_step> lanes;
                std::copy_n(lanes_ + channel * lanes_per_channel + sum * lanes_per_step,
                            lanes_per_step, lanes.begin());
                sums_[sum * values_ + channel] = fold_lanes(lanes.data());
            }
        }
        return sums_;
    }

private:
    static constexpr std::int64_t lanes_per_channel = sums_per_channel * lanes_per_step;
    std::int64_t channel_count() const { return channels_.end - channels_.begin; }

    ChannelRange channels_;
    std::int64_t values_;
    double* lanes_;
    double* sums_;
};

/// The sums of one block of a group along columns: for each sum the lanes of all channels, which
/// are folded in place.
class ColumnBlock {
public:
    ColumnBlock(const Geometry& geometry, const ChannelRange& channels, Scratch& scratch)
        : geometry_(geometry),
          channel_count_(channels.end - channels.begin),
          values_(geometry.values_per_group(channel_count_)),
          sums_(scratch.take<double>(sums_per_channel * values_)) {}

    static std::int64_t doubles(const Geometry& geometry, std::int64_t channels) {
        return sums_per_channel * geometry.values_per_group(channels);
    }

    void clear() const { std::fill_n(sums_, sums_per_channel * values_, 0.0); }

    void add(const RowsAndColumns<Reduce>& kernel, const Tile& tile, const StagedTile& staged,
             const double* shifts) const {
        for_each_extent_of_columns(
            geometry_, tile, staged, [&](const TileExtent& extent, const StagedTile& part) {
                kernel.columns(extent, part.sources.data(), part.mask, shifts, {sums_, values_});
            });
    }

    double* folded() const {
        for (std::int64_t sum = 0; sum < sums_per_channel; ++sum) {
            fold_lanes(sums_ + sum * values_, channel_count_, geometry_.columns_per_channel());
        }
        return sums_;
    }

private:
    const Geometry& geometry_;
    std::int64_t channel_count_, values_;
    double* sums_;
};

template <typename Block>
void reduce_blocks(const Traversal& traversal, const RowsAndColumns<Reduce>& kernel,
                   const ChannelRange& channels, const BlockRange& blocks, const double* shifts,
                   const GroupCopies& copies, double* sums, Scratch& scratch) {
    const Scratch::Frame frame(scratch);
    const std::int64_t count = channels.end - channels.begin;
    const std::int64_t length = sums_per_channel * traversal.geometry().values_per_group(count);
    const std::int64_t levels = BlockSums::levels_for(blocks.end - blocks.begin);
    const Block block(traversal.geometry(), channels, scratch);
    BlockSums tree(scratch.take<double>(length * levels), length);
    const TileBuffers buffers = traversal.take_buffers(count, scratch);
    for (std::int64_t index = blocks.begin; index < blocks.end; ++index) {
        stop_if_interrupted();
        block.clear();
        traversal.tiles(Phase::reduce, channels, index, copies).for_each([&](const Tile& tile) {
            block.add(kernel, tile, traversal.stage(Phase::reduce, tile, buffers, copies), shifts);
        });
        tree.append(block.folded());
    }
    tree.total(sums);
}

}  // namespace

void reduce(const Traversal& traversal, const RowsAndColumns<Reduce>& kernel,
            const ChannelRange& channels, const BlockRange& blocks, const double* shifts,
            const GroupCopies& copies, double* sums, Scratch& scratch) {
    const auto run =
        traversal.geometry().is_along_rows() ? reduce_blocks<RowBlock> : reduce_blocks<ColumnBlock>;
    run(traversal, kernel, channels, blocks, shifts, copies, sums, scratch);
}

std::size_t phase_bytes(const Traversal& traversal, std::int64_t channels, std::int64_t blocks) {
    const Geometry& geometry = traversal.geometry();
    const std::int64_t block = geometry.is_along_rows() ? RowBlock::doubles(geometry, channels)
                                                        : ColumnBlock::doubles(geometry, channels);
    const std::int64_t tree =
        sums_per_channel * geometry.values_per_group(channels) * BlockSums::levels_for(blocks);
    return static_cast<std::size_t>(block + tree) * sizeof(double) + 3 * Scratch::line +
           traversal.buffer_bytes(channels);
}

}  // namespace normgraph::kernel::simd
