#include "normgraph/kernel/summation_order.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <vector>

#include "normgraph/kernel/reference/summation.hpp"

namespace normgraph::kernel {
namespace {

constexpr auto channels_first = LayoutClass::channels_first;
constexpr auto channels_last = LayoutClass::channels_last;

SummationOrder order_of(LayoutClass layout, ElementType type,
                        const std::vector<std::int64_t>& shape, std::int64_t channel_axis) {
    return summation_order(layout, type, shape[static_cast<std::size_t>(channel_axis)],
                           sample_extents(shape, channel_axis));
}

constexpr auto f32 = ElementType::f32;
constexpr auto bf16 = ElementType::bf16;

TEST(SummationOrder, BlocksAreAPowerOfTwoOfWholeSamples) {
    // Four steps a sample, then two.
    const SummationOrder order = order_of(channels_first, f32, {100, 64, 49}, 1);
    EXPECT_EQ(order.lanes, 16);
    EXPECT_EQ(order.row_count, 100);
    EXPECT_EQ(order.row_length, 49);
    EXPECT_EQ(order.leaf_rows, 16);
    EXPECT_EQ(order.blocks_per_leaf, 1);
    EXPECT_EQ(order.block_count(), 7);
    EXPECT_EQ(order.extent_of(6).row, 96);
    EXPECT_EQ(order.extent_of(6).row_end, 100);
    EXPECT_EQ(order_of(channels_first, bf16, {100, 64, 49}, 1).leaf_rows, 32);
    // Without rows elements follow each other: 98 of them are seven steps.
    EXPECT_EQ(order_of(channels_last, f32, {100, 64, 49}, 1).leaf_length, 49);
    EXPECT_EQ(order_of(channels_last, f32, {100, 3, 49}, 1).leaf_length, 8 * 49);
    EXPECT_EQ(order_of(channels_first, f32, {100000, 64}, 1).leaf_length, 64 * 16);
    EXPECT_EQ(order_of(channels_first, bf16, {100000, 64}, 1).leaf_length, 64 * 32);
}

TEST(SummationOrder, LongSamplesAreCutIntoPieces) {
    const SummationOrder rows = order_of(channels_first, f32, {3, 2, 1025}, 1);
    EXPECT_EQ(rows.leaf_rows, 1);
    EXPECT_EQ(rows.blocks_per_leaf, 2);
    EXPECT_EQ(rows.block_count(), 6);
    EXPECT_EQ(rows.extent_of(3).row, 1);
    EXPECT_EQ(rows.extent_of(3).first, 1024);
    EXPECT_EQ(rows.extent_of(3).end, 1025);
    EXPECT_EQ(order_of(channels_first, f32, {3, 2, 1024}, 1).blocks_per_leaf, 1);

    // Rows of three steps: 21 of them are a piece.
    const SummationOrder short_rows = order_of(channels_first, f32, {2, 50, 3, 40}, 2);
    EXPECT_EQ(short_rows.leaf_rows, 50);
    EXPECT_EQ(short_rows.block_rows, 21);
    EXPECT_EQ(short_rows.blocks_per_leaf, 3);
    EXPECT_EQ(short_rows.extent_of(5).row, 50 + 42);
    EXPECT_EQ(short_rows.extent_of(5).row_end, 100);

    const SummationOrder across = order_of(channels_last, f32, {2, 3, 1000}, 1);
    EXPECT_EQ(across.leaf_length, 1000);
    EXPECT_EQ(across.block_length, 64 * 8);
    EXPECT_EQ(across.extent_of(2).first, 1000);
}

TEST(SummationOrder, SamplesAreOfTheFirstAxisThatIsNotTheChannels) {
    const SummationOrder order = order_of(channels_first, f32, {2, 7, 5}, 0);
    EXPECT_EQ(order.row_count, 7);
    EXPECT_EQ(order.row_length, 5);
    EXPECT_EQ(order_of(channels_first, f32, {2, 7}, 0).row_length, 7);
}

TEST(SummationOrder, EveryElementIsInOneBlock) {
    for (const LayoutClass layout : {channels_first, channels_last}) {
        for (const ElementType type : {f32, bf16}) {
            for (const auto& shape : {std::vector<std::int64_t>{5, 3, 70},
                                      {70, 3, 3, 33},
                                      {3, 2, 5000},
                                      {2, 90, 3, 40},
                                      {9000, 3}}) {
                const std::int64_t axis = shape.size() == 4 && shape[1] == 90 ? 2 : 1;
                const SummationOrder order = order_of(layout, type, shape, axis);
                std::int64_t count = 0;
                for (std::int64_t block = 0; block < order.block_count(); ++block) {
                    const BlockExtent extent = order.extent_of(block);
                    const std::int64_t steps = (extent.row_end - extent.row) *
                                               divide_up(extent.end - extent.first, order.lanes);
                    EXPECT_GT(extent.element_count(), 0);
                    EXPECT_LE(steps, steps_per_block);
                    count += extent.element_count();
                }
                EXPECT_EQ(count, sample_extents(shape, axis).element_count());
            }
        }
    }
}

TEST(SummationOrder, FewChannelsSideBySideShareTheAccumulators) {
    const std::vector<std::int64_t> lanes{16, 8, 8, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1};
    for (std::size_t channels = 1; channels <= lanes.size(); ++channels) {
        EXPECT_EQ(channels_last_lanes(f32, static_cast<std::int64_t>(channels)),
                  lanes[channels - 1])
            << channels << " channels";
    }
    EXPECT_EQ(channels_last_lanes(bf16, 1), 32);
    EXPECT_EQ(channels_last_lanes(bf16, 31), 2);
    EXPECT_EQ(channels_last_lanes(bf16, 32), 1);
    EXPECT_EQ(order_of(channels_last, f32, {32, 3, 49}, 1).row_length, 32 * 49);
    EXPECT_EQ(order_of(channels_last, f32, {32, 3, 49}, 1).row_count, 1);
}

TEST(SummationOrder, EmptyChannelsHaveNoBlocks) {
    EXPECT_EQ(order_of(channels_first, f32, {0, 3, 5}, 1).block_count(), 0);
    EXPECT_EQ(order_of(channels_first, f32, {5, 3, 0}, 1).block_count(), 0);
    EXPECT_EQ(order_of(channels_last, f32, {0, 3, 5}, 1).block_count(), 0);
}

/// The tree as its definition says it.
double tree(const std::vector<double>& blocks, std::size_t begin, std::size_t end) {
    if (end - begin == 1) {
        return blocks[begin];
    }
    const std::size_t middle = begin + std::bit_floor(end - begin - 1);
    return tree(blocks, begin, middle) + tree(blocks, middle, end);
}

TEST(NodeTree, SplitsAtTheLargestPowerOfTwo) {
    std::vector<double> blocks;
    reference::NodeTree<double> appended;
    EXPECT_EQ(appended.total(), 0.0);
    for (int block = 0; block < 200; ++block) {
        // Terms of many magnitudes, so that nearly every other order gives other bits.
        blocks.push_back((block % 7 - 3) * 0.1 * (1 << (block % 29)));
        appended.append(blocks.back());
        ASSERT_EQ(appended.total(), tree(blocks, 0, blocks.size())) << blocks.size();
    }
}

}  // namespace
}  // namespace normgraph::kernel
