#include "normgraph/runtime/memory_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <numeric>
#include <random>
#include <vector>

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

/// What the plan promises, in the plainest way: each piece, the largest first, looks at all that
/// are placed and live beside it.
MemoryPlan simple_plan(const std::vector<Lifetime>& lifetimes) {
    std::vector<std::size_t> largest_first(lifetimes.size());
    std::iota(largest_first.begin(), largest_first.end(), std::size_t{0});
    std::ranges::stable_sort(largest_first, std::ranges::greater{},
                             [&](std::size_t index) { return lifetimes[index].bytes; });
    MemoryPlan plan{std::vector<std::size_t>(lifetimes.size()), 0};
    std::vector<std::size_t> placed;  // ascending by offset
    const auto end_of = [&](std::size_t index) {
        return plan.offsets[index] + (lifetimes[index].bytes + 63) / 64 * 64;
    };
    for (const std::size_t index : largest_first) {
        std::size_t& place = plan.offsets[index];
        for (const std::size_t other : placed) {
            if (lifetimes[other].first_step <= lifetimes[index].last_step &&
                lifetimes[index].first_step <= lifetimes[other].last_step) {
                if (end_of(index) <= plan.offsets[other]) {
                    break;
                }
                place = std::max(place, end_of(other));
            }
        }
        const auto after = std::ranges::upper_bound(
            placed, place, {}, [&](std::size_t other) { return plan.offsets[other]; });
        placed.insert(after, index);
        plan.bytes = std::max(plan.bytes, end_of(index));
    }
    return plan;
}

TEST(PlanMemory, PlacesEachPieceAsTheSimpleRuleDoes) {
    std::mt19937_64 random(2);
    const auto below = [&](std::size_t limit) { return random() % limit; };
    for (int repetition = 0; repetition < 600; ++repetition) {
        const std::size_t count = 1 + below(repetition % 10 == 0 ? 400 : 40);
        const std::size_t most_bytes = std::size_t{1} << below(16);
        const std::size_t stride = 1 + below(3);  // not at every step something begins
        const std::size_t longest = 1 + below(2 * count);
        const std::uint64_t kind = below(4);
        std::vector<Lifetime> lifetimes(count);
        for (std::size_t index = 0; index < count; ++index) {
            Lifetime& lifetime = lifetimes[index];
            lifetime.first_step = stride * (kind == 0 ? below(count) : index);
            lifetime.last_step = kind == 1   ? stride * (2 * count - index)  // as for gradients
                                 : kind == 2 ? stride * index + below(4)     // as in a chain
                                             : lifetime.first_step + below(longest);
            lifetime.bytes = below(3) == 0 ? most_bytes : below(most_bytes);
        }
        const MemoryPlan plan = plan_memory(lifetimes);
        const MemoryPlan expected = simple_plan(lifetimes);
        ASSERT_EQ(plan.offsets, expected.offsets) << "repetition " << repetition;
        ASSERT_EQ(plan.bytes, expected.bytes) << "repetition " << repetition;
    }
}

/// Values of a function and its gradients: each waits for its turn on the way back, while a value
/// that lives for a step comes and goes. To look at all pairs would take minutes.
TEST(PlanMemory, OfVeryMany) {
    constexpr std::size_t count = 200'000;
    std::vector<Lifetime> lifetimes;
    for (std::size_t index = 0; index < count; ++index) {
        lifetimes.push_back({2 * index, 4 * count - 2 * index, 128});
        lifetimes.push_back({2 * index + 1, 2 * index + 2, 64});
    }
    const MemoryPlan plan = plan_memory(lifetimes);
    EXPECT_EQ(plan.bytes, count * 128 + 64);
    for (std::size_t index = 0; index < count; ++index) {
        ASSERT_EQ(plan.offsets[2 * index], 128 * index);
        // At step 2·index + 2 the next of the large ones is there.
        ASSERT_EQ(plan.offsets[2 * index + 1], 128 * std::min(index + 2, count));
    }
}

TEST(PlanMemory, MoreThanAnyMemory) {
    constexpr std::size_t huge = std::numeric_limits<std::int64_t>::max() / 3;
    EXPECT_THROW(plan_memory(std::vector<Lifetime>{{0, 1, huge}, {0, 1, huge}}), std::bad_alloc);
    EXPECT_THROW(plan_memory(std::vector<Lifetime>{{0, 1, 2 * huge}}), std::bad_alloc);
}

}  // namespace
}  // namespace normgraph::runtime
