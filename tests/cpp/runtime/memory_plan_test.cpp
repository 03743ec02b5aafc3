#include "normgraph/runtime/memory_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <random>

namespace normgraph::runtime {
namespace {

TEST(PlanMemory, OfNothing) {
    EXPECT_EQ(plan_memory({}).bytes, 0U);
}

TEST(PlanMemory, PiecesBeginAtCacheLines) {
    const std::vector<Lifetime> lifetimes{{0, 1, 1}, {1, 2, 65}, {1, 1, 0}, {2, 3, 64}};
    for (const std::size_t offset : plan_memory(lifetimes).offsets) {
        EXPECT_EQ(offset % 64, 0U);
    }
}

/// Each value is read by the step that makes the next one.
TEST(PlanMemory, AChainTakesTwoPieces) {
    std::vector<Lifetime> lifetimes;
    for (std::size_t step = 0; step < 20; ++step) {
        lifetimes.push_back({step, step + 1, 640});
    }
    EXPECT_EQ(plan_memory(lifetimes).bytes, 1280U);
}

/// A small value between two large ones does not keep their places apart.
TEST(PlanMemory, LargePiecesArePlacedFirst) {
    const std::vector<Lifetime> lifetimes{{0, 9, 64}, {1, 2, 6400}, {3, 4, 6400}, {5, 6, 6400}};
    EXPECT_EQ(plan_memory(lifetimes).bytes, 6464U);
}

TEST(PlanMemory, PiecesThatLiveTogetherDoNotOverlap) {
    std::mt19937_64 random(1);
    for (int repetition = 0; repetition < 200; ++repetition) {
        std::vector<Lifetime> lifetimes(1 + random() % 30);
        for (Lifetime& lifetime : lifetimes) {
            lifetime.first_step = random() % 20;
            lifetime.last_step = lifetime.first_step + random() % 6;
            lifetime.bytes = random() % 1000;
        }
        const MemoryPlan plan = plan_memory(lifetimes);
        for (std::size_t left = 0; left < lifetimes.size(); ++left) {
            ASSERT_LE(plan.offsets[left] + lifetimes[left].bytes, plan.bytes);
            for (std::size_t right = 0; right < left; ++right) {
                const Lifetime& one = lifetimes[left];
                const Lifetime& other = lifetimes[right];
                const bool live_together =
                    one.first_step <= other.last_step && other.first_step <= one.last_step;
                const bool are_apart = plan.offsets[left] + one.bytes <= plan.offsets[right] ||
                                       plan.offsets[right] + other.bytes <= plan.offsets[left];
                ASSERT_TRUE(!live_together || are_apart) << left << " and " << right;
            }
        }
    }
}

TEST(PlanMemory, MoreThanAnyMemory) {
    constexpr std::size_t huge = std::numeric_limits<std::int64_t>::max() / 3;
    EXPECT_THROW(plan_memory(std::vector<Lifetime>{{0, 1, huge}, {0, 1, huge}}), std::bad_alloc);
    EXPECT_THROW(plan_memory(std::vector<Lifetime>{{0, 1, 2 * huge}}), std::bad_alloc);
}

}  // namespace
}  // namespace normgraph::runtime
