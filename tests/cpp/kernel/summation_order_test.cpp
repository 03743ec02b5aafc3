#include "normgraph/kernel/summation_order.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <vector>

#include "normgraph/kernel/reference/summation.hpp"

namespace normgraph::kernel {
namespace {

constexpr auto first = LayoutClass::channels_first;
constexpr auto last = LayoutClass::channels_last;

TEST(SummationOrder, ChannelsFirstHasSixteenLanesAlongTheRow) {
    const SummationOrder order = summation_order(first, {32, 64, 49});
    EXPECT_EQ(order.row_count, 32);
    EXPECT_EQ(order.row_length, 49);
    EXPECT_EQ(order.lanes, 16);
    EXPECT_EQ(order.rows_per_block(), 128);
    EXPECT_EQ(order.block_count(), 1);
}

TEST(SummationOrder, WithoutInnerAxesTheOuterOneIsTheRow) {
    const SummationOrder order = summation_order(first, {1000, 64, 1});
    EXPECT_EQ(order.row_count, 1);
    EXPECT_EQ(order.row_length, 1000);
}

TEST(SummationOrder, LongRowsAreCutIntoBlocks) {
    const SummationOrder order = summation_order(first, {3, 2, 8193});
    EXPECT_TRUE(order.rows_are_split());
    EXPECT_EQ(order.block_count(), 6);
    EXPECT_FALSE(summation_order(first, {3, 2, 8192}).rows_are_split());
}

TEST(SummationOrder, FewChannelsSideBySideShareTheAccumulators) {
    const std::vector<std::int64_t> lanes{16, 8, 8, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1};
    for (std::size_t channels = 1; channels <= lanes.size(); ++channels) {
        EXPECT_EQ(channels_last_lanes(static_cast<std::int64_t>(channels)), lanes[channels - 1])
            << channels << " channels";
    }
    EXPECT_EQ(summation_order(last, {32, 3, 49}).row_length, 32 * 49);
    EXPECT_EQ(summation_order(last, {32, 3, 49}).row_count, 1);
}

TEST(SummationOrder, EmptyChannelsHaveNoBlocks) {
    EXPECT_EQ(summation_order(first, {0, 3, 5}).block_count(), 0);
    EXPECT_EQ(summation_order(first, {5, 3, 0}).block_count(), 0);
    EXPECT_EQ(summation_order(last, {0, 3, 5}).block_count(), 0);
}

/// The tree as its definition says it.
double tree(const std::vector<double>& blocks, std::size_t begin, std::size_t end) {
    if (end - begin == 1) {
        return blocks[begin];
    }
    const std::size_t middle = begin + std::bit_floor(end - begin - 1);
    return tree(blocks, begin, middle) + tree(blocks, middle, end);
}

TEST(BlockTree, SplitsAtTheLargestPowerOfTwo) {
    std::vector<double> blocks;
    reference::BlockTree<1> appended;
    EXPECT_EQ(appended.total()[0], 0.0);
    for (int block = 0; block < 200; ++block) {
        // Terms of many magnitudes, so that nearly every other order gives other bits.
        blocks.push_back((block % 7 - 3) * 0.1 * (1 << (block % 29)));
        appended.append({blocks.back()});
        ASSERT_EQ(appended.total()[0], tree(blocks, 0, blocks.size())) << blocks.size();
    }
}

}  // namespace
}  // namespace normgraph::kernel
