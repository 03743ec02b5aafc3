#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "normgraph/kernel/simd/tiling/plan.hpp"
#include "normgraph/kernel/simd/tiling/tiles.hpp"

namespace normgraph::kernel::simd {
namespace {

constexpr std::int64_t kibibyte = 1024;
constexpr CacheTuning tuning{CacheSizes{32 * kibibyte, 512 * kibibyte}};

/// Of tensors of shape {outer, channels, inner}.
Geometry geometry(LayoutClass layout_class, const Extents& extents, ElementType type) {
    const SampleExtents samples{extents.outer, 1, extents.inner};
    return {layout_class, extents.channels, type,
            summation_order(layout_class, type, extents.channels, samples), tuning};
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
        Tiles(geometry, demands, channels, geometry.order.extent_of(block))
            .for_each([&](const Tile& tile) {
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
            const Geometry all = geometry(layout, extents, ElementType::bf16);
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
            const Geometry all = geometry(layout, extents, ElementType::f32);
            TileDemands demands = demands_of(all, all.order.row_length);
            demands.stages = true;
            const ChannelRange channels{0, std::min<std::int64_t>(extents.channels, 64)};
            Tiles(all, demands, channels, all.order.extent_of(0)).for_each([&](const Tile& tile) {
                const std::int64_t elements = tile.channel_count() * tile.count;
                EXPECT_EQ(tile.rows, 1);
                EXPECT_LE(elements * 4, Tiles::staged_bytes(all, tile.channel_count()));
                EXPECT_LE(elements, Tiles::most_staged_elements(all, tile.channel_count()));
            });
        }
    }
}

TEST(Tiles, OfFewRowsAreOneTile) {
    const Geometry small = geometry(LayoutClass::channels_first, {4, 3, 49}, ElementType::f32);
    std::int64_t count = 0;
    Tiles(small, demands_of(small, 49), {0, 3}, small.order.extent_of(0))
        .for_each([&](const Tile& tile) {
            EXPECT_EQ(tile.rows, 4);
            EXPECT_EQ(tile.channel_count(), 3);
            ++count;
        });
    EXPECT_EQ(count, 1);
}

TEST(Geometry, HasRowsInWholeLines) {
    const Geometry images = geometry(LayoutClass::channels_first, {2, 1, 9000}, ElementType::f32);
    EXPECT_EQ(images.rows_in_whole_lines(5), 5 / 2 * 2);
}

/// Every element of the blocks once, from the last part to the first.
void expect_parts_cover(const Geometry& geometry, const BlockRange& blocks) {
    std::set<std::pair<std::int64_t, std::int64_t>> seen;
    std::pair<std::int64_t, std::int64_t> before{std::int64_t{1} << 60, 0};
    geometry.for_each_part_backwards(blocks, [&](const BlockExtent& part) {
        EXPECT_LT(std::pair(part.row, part.first), before);
        before = {part.row, part.first};
        for (std::int64_t row = part.row; row < part.row_end; ++row) {
            for (std::int64_t index = part.first; index < part.end; ++index) {
                EXPECT_TRUE(seen.insert({row, index}).second);
            }
        }
    });
    EXPECT_EQ(static_cast<std::int64_t>(seen.size()), geometry.elements_in(blocks));
}

TEST(Geometry, PartsCoverBlocks) {
    for (const SampleExtents& samples :
         {SampleExtents{40, 1, 49}, {3, 1, 20000}, {2, 50, 40}, {2, 3, 2500}, {5000, 1, 1}}) {
        Geometry all = geometry(LayoutClass::channels_first, {1, 1, 1}, ElementType::f32);
        all.order = summation_order(LayoutClass::channels_first, ElementType::f32, 1, samples);
        const std::int64_t per_leaf = all.order.blocks_per_leaf;
        expect_parts_cover(all, {0, all.order.block_count()});
        expect_parts_cover(all, {per_leaf, all.order.block_count()});
        for (std::int64_t begin = 0; begin < per_leaf; ++begin) {
            expect_parts_cover(all, {per_leaf + begin, 2 * per_leaf});
            expect_parts_cover(all, {begin, begin + 1});
        }
    }
}

TEST(Plan, DividesEveryChannelAndBlockOnce) {
    for (const LayoutClass layout : {LayoutClass::channels_first, LayoutClass::channels_last}) {
        for (const Extents& extents :
             {Extents{32, 1, 50176}, Extents{64, 300, 49}, Extents{4096, 3000, 1}}) {
            const Geometry all = geometry(layout, extents, ElementType::f32);
            for (const std::int64_t threads : {1, 2, 7}) {
                const Plan plan = make_plan(all, {.reduced_sources = 2}, threads);
                EXPECT_EQ(plan.group(plan.group_count() - 1).end, extents.channels);
                EXPECT_EQ(plan.part(plan.part_count() - 1).end, all.order.block_count());
                EXPECT_LE(plan.threads, threads);
                std::int64_t next = 0;
                for (std::int64_t part = 0; part < plan.part_count(); ++part) {
                    EXPECT_EQ(plan.part(part).begin, next);
                    next = plan.part(part).end;
                }
                const std::int64_t unit = plan.parts_per_leaf() == 1 ? plan.blocks_per_leaf : 1;
                if (plan.part_count() > 1) {
                    const std::int64_t units = plan.blocks_per_part / unit;
                    EXPECT_EQ(plan.blocks_per_part % unit, 0);
                    EXPECT_EQ(units & (units - 1), 0);
                }
            }
        }
    }
}

TEST(Plan, KeepsWhatIsReducedInTheCache) {
    const Geometry images = geometry(LayoutClass::channels_first, {32, 256, 784}, ElementType::f32);
    const Plan plan = make_plan(images, {.reduced_sources = 1}, 1);
    EXPECT_EQ(plan.channels_per_group, 24 * kibibyte / (std::int64_t{784} * 4));

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
