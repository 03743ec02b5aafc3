#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <tuple>
#include <vector>

#include "normgraph/kernel/simd/tiling/plan.hpp"
#include "normgraph/kernel/simd/tiling/tiles.hpp"

namespace normgraph::kernel::simd {
namespace {

constexpr std::int64_t kibibyte = 1024;
constexpr CacheTuning tuning{CacheSizes{32 * kibibyte, 512 * kibibyte}};

Geometry geometry(LayoutClass layout_class, const Extents& extents, std::int64_t element_size) {
    return {layout_class, extents.channels, element_size, summation_order(layout_class, extents),
            tuning};
}

TileDemands demands_of(const Geometry& geometry, std::int64_t run) {
    TileDemands demands;
    demands.run = run;
    demands.rows_are_regular = run == geometry.order.row_length;
    return demands;
}

/// Every element of the group once, and each row of a channel in ascending order.
void expect_each_element_once(const Geometry& geometry, const TileDemands& demands,
                              const ChannelRange& channels) {
    std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> seen;
    for (std::int64_t block = 0; block < geometry.order.block_count(); ++block) {
        Tiles(geometry, demands, channels, block).for_each([&](const Tile& tile) {
            EXPECT_LE(tile.first % demands.run + tile.count, demands.run);
            for (std::int64_t channel = tile.channels.begin; channel < tile.channels.end;
                 ++channel) {
                for (std::int64_t row = tile.row; row < tile.row + tile.rows; ++row) {
                    for (std::int64_t index = 0; index < tile.count; ++index) {
                        EXPECT_TRUE(seen.insert({channel, row, tile.first + index}).second);
                    }
                }
            }
        });
    }
    const std::int64_t count = channels.end - channels.begin;
    EXPECT_EQ(static_cast<std::int64_t>(seen.size()), count * geometry.elements_per_channel());
}

TEST(Tiles, HaveEachElementOnce) {
    for (const LayoutClass layout : {LayoutClass::channels_first, LayoutClass::channels_last}) {
        for (const Extents& extents :
             {Extents{3, 5, 49}, Extents{130, 3, 100}, Extents{2, 2, 9000}, Extents{700, 4, 1}}) {
            const Geometry all = geometry(layout, extents, 2);
            for (const std::int64_t run : {all.order.row_length, std::int64_t{48}}) {
                TileDemands demands = demands_of(all, std::min(run, all.order.row_length));
                expect_each_element_once(all, demands, {1, extents.channels});
                demands.buffers_target = true;
                expect_each_element_once(all, demands, {1, extents.channels});
                demands.stages = true;
                expect_each_element_once(all, demands, {0, extents.channels});
                demands.stages_across = true;
                expect_each_element_once(all, demands, {0, extents.channels});
            }
        }
    }
}

TEST(Tiles, ThatAreCopiedFitTheirBuffer) {
    for (const LayoutClass layout : {LayoutClass::channels_first, LayoutClass::channels_last}) {
        for (const Extents& extents : {Extents{3, 600, 49}, Extents{2, 70, 90000}}) {
            const Geometry all = geometry(layout, extents, 4);
            TileDemands demands = demands_of(all, all.order.row_length);
            demands.stages = true;
            const ChannelRange channels{0, std::min<std::int64_t>(extents.channels, 64)};
            Tiles(all, demands, channels, 0).for_each([&](const Tile& tile) {
                const std::int64_t elements = tile.channel_count() * tile.count;
                EXPECT_EQ(tile.rows, 1);
                EXPECT_LE(elements * 4, Tiles::staged_bytes(all, tile.channel_count()));
                EXPECT_LE(elements, Tiles::most_staged_elements(all, tile.channel_count()));
            });
        }
    }
}

TEST(Tiles, OfFewRowsAreOneTile) {
    const Geometry small = geometry(LayoutClass::channels_first, {4, 3, 49}, 4);
    std::int64_t count = 0;
    Tiles(small, demands_of(small, 49), {0, 3}, 0).for_each([&](const Tile& tile) {
        EXPECT_EQ(tile.rows, 4);
        EXPECT_EQ(tile.channel_count(), 3);
        ++count;
    });
    EXPECT_EQ(count, 1);
}

TEST(Geometry, CutsRowsWhereBlocksEnd) {
    const Geometry split = geometry(LayoutClass::channels_first, {2, 1, 9000}, 4);
    const BlockExtent last = split.extent_of(3);
    EXPECT_EQ(last.row, 1);
    EXPECT_EQ(last.row_end, 2);
    EXPECT_EQ(last.first, 8192);
    EXPECT_EQ(last.end, 9000);
    EXPECT_EQ(split.rows_in_whole_lines(5), 5 / 2 * 2);
}

TEST(Plan, DividesEveryChannelAndBlockOnce) {
    for (const LayoutClass layout : {LayoutClass::channels_first, LayoutClass::channels_last}) {
        for (const Extents& extents :
             {Extents{32, 1, 50176}, Extents{64, 300, 49}, Extents{4096, 3000, 1}}) {
            const Geometry all = geometry(layout, extents, 4);
            for (const std::int64_t threads : {1, 2, 7}) {
                const Plan plan = make_plan(all, {.reduced_sources = 2}, threads);
                EXPECT_EQ(plan.group(plan.group_count() - 1).end, extents.channels);
                EXPECT_EQ(plan.part(plan.part_count() - 1).end, all.order.block_count());
                EXPECT_LE(plan.threads, threads);
                if (plan.part_count() > 1) {
                    EXPECT_EQ(plan.blocks_per_part & (plan.blocks_per_part - 1), 0);
                }
            }
        }
    }
}

TEST(Plan, KeepsWhatIsReducedInTheCache) {
    const Geometry images = geometry(LayoutClass::channels_first, {32, 256, 784}, 4);
    const Plan plan = make_plan(images, {.reduced_sources = 1}, 1);
    EXPECT_EQ(plan.channels_per_group, 24 * kibibyte / (784 * 4));

    Geometry larger = images;
    larger.tuning = CacheTuning({32 * kibibyte, 4096 * kibibyte});
    EXPECT_GT(make_plan(larger, {.reduced_sources = 1}, 1).channels_per_group,
              plan.channels_per_group);
}

TEST(CacheTuning, TakesTheCachesOfThisMachine) {
    const CacheTuning here = cache_tuning();
    EXPECT_GE(here.element_wise_bytes, 16 * kibibyte);
    EXPECT_GE(here.reused_bytes, 128 * kibibyte);
    EXPECT_EQ(here.coalesced_columns * 2 % cache_line, 0);
}

}  // namespace
}  // namespace normgraph::kernel::simd
