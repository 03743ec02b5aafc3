#include "normgraph/runtime/memory_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "normgraph/runtime/huge_pages.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace normgraph::runtime {
namespace {

using Block = MemoryPool::Block;

constexpr std::size_t page = huge_page;

MemoryPool::Time now{};

/// A pool whose time is what the test says.
class Pool : public testing::Test {
protected:
    void SetUp() override { now = std::chrono::hours(1); }

    void expect_usage(std::size_t in_use, std::size_t free, std::size_t peak) const {
        const MemoryPool::Usage usage = pool_.usage();
        EXPECT_EQ(usage.in_use, in_use * page);
        EXPECT_EQ(usage.free, free * page);
        EXPECT_EQ(usage.peak_in_use, peak * page);
    }

    /// Three blocks of so many pages.
    std::array<Block, 3> side_by_side(std::size_t first, std::size_t second, std::size_t third) {
        pool_.take((first + second + third) * page).reset();
        std::array<Block, 3> blocks{pool_.take(first * page), pool_.take(second * page),
                                    pool_.take(third * page)};
        EXPECT_EQ(blocks[1].get(), blocks[0].get() + first * page);
        EXPECT_EQ(blocks[2].get(), blocks[1].get() + second * page);
        return blocks;
    }

    MemoryPool pool_{MemoryPool::unlimited, []() noexcept { return now; }};
};

/// The address of a block that is free again.
std::byte* taken_and_freed(MemoryPool& pool, std::size_t size) {
    Block block = pool.take(size);
    std::byte* const address = block.get();
    block.reset();
    return address;
}

/// Whether the system knows the address.
bool is_mapped(const std::byte* address) {
    unsigned char residency = 0;
    return mincore(const_cast<std::byte*>(address), 1, &residency) == 0;
}

TEST_F(Pool, BlocksBeginAtHugePagesAndAreWhole) {
    for (const std::size_t size : {std::size_t{1}, page - 1, page, page + 1, 3 * page}) {
        const Block block = pool_.take(size);
        ASSERT_NE(block, nullptr);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.get()) % page, 0);
        EXPECT_EQ(pool_.usage().in_use, whole_huge_pages(size));
        std::fill_n(block.get(), size, std::byte{7});
    }
}

TEST_F(Pool, AddressesRepeat) {
    const std::byte* const first = taken_and_freed(pool_, 3 * page);
    expect_usage(0, 3, 3);
    for (int call = 0; call < 100; ++call) {
        EXPECT_EQ(pool_.take(3 * page - 5).get(), first);
    }
    expect_usage(0, 3, 3);
}

TEST_F(Pool, BlocksInUseAreDistinct) {
    std::vector<Block> blocks;
    for (int value = 0; value < 8; ++value) {
        blocks.push_back(pool_.take(page));
        std::fill_n(blocks.back().get(), page, static_cast<std::byte>(value));
    }
    for (int value = 0; value < 8; ++value) {
        const std::byte* const block = blocks[static_cast<std::size_t>(value)].get();
        EXPECT_EQ(std::count(block, block + page, static_cast<std::byte>(value)), page);
    }
    expect_usage(8, 0, 8);
}

TEST_F(Pool, AFreeBlockIsDivided) {
    const std::byte* const whole = taken_and_freed(pool_, 5 * page);
    const Block first = pool_.take(2 * page);
    EXPECT_EQ(first.get(), whole);
    const Block second = pool_.take(2 * page);
    EXPECT_EQ(second.get(), whole + 2 * page);
    expect_usage(4, 1, 5);
}

TEST_F(Pool, FreeBlocksSideBySideAreTakenAsOne) {
    const std::byte* const whole = taken_and_freed(pool_, 5 * page);
    {
        const Block first = pool_.take(page);
        const Block second = pool_.take(page);
        const Block third = pool_.take(page);
    }
    EXPECT_EQ(pool_.take(5 * page).get(), whole);
    {
        const Block first = pool_.take(page);
        const Block second = pool_.take(page);
        const Block third = pool_.take(page);
    }
    EXPECT_EQ(pool_.take(4 * page).get(), whole + page) << "the last three, of 1, 1 and 2 pages";
    expect_usage(0, 5, 5);
}

TEST_F(Pool, FreeBlocksWithOneInUseBetweenAreNotTakenAsOne) {
    auto [first, between, last] = side_by_side(1, 1, 1);
    const std::byte* const begin = first.get();
    const std::byte* const end = last.get() + page;
    first.reset();
    last.reset();
    const Block large = pool_.take(2 * page);
    EXPECT_FALSE(begin <= large.get() && large.get() < end);
    expect_usage(3, 0, 3);
}

TEST_F(Pool, TheSmallestThatSufficesIsTaken) {
    auto [large, between, small] = side_by_side(4, 1, 2);
    const std::byte* const address = small.get();
    large.reset();
    small.reset();
    EXPECT_EQ(pool_.take(2 * page).get(), address);
    EXPECT_EQ(pool_.take(page).get(), address);
}

TEST_F(Pool, OfEqualBlocksTheLastUsedIsTaken) {
    for (const bool is_first_last : {false, true}) {
        auto [first, between, second] = side_by_side(1, 1, 1);
        Block& earlier = is_first_last ? second : first;
        Block& later = is_first_last ? first : second;
        const std::byte* const address = later.get();
        earlier.reset();
        ++now;
        later.reset();
        EXPECT_EQ(pool_.take(page).get(), address);
        between.reset();
        pool_.release();
    }
}

TEST_F(Pool, InUseAndFreeNeverExceedThePeakInUse) {
    // Sizes that come and go in an order that is arbitrary, but the same in every run.
    std::uint32_t state = 1;
    const auto random = [&](std::uint32_t below) {
        state = state * 1664525U + 1013904223U;
        return (state >> 16U) % below;
    };
    std::vector<Block> blocks;
    std::size_t peak = 0;
    for (int round = 0; round < 5000; ++round) {
        if (blocks.size() < 12 && random(2) == 0) {
            blocks.push_back(pool_.take((1 + random(9)) * page));
            ASSERT_NE(blocks.back(), nullptr);
            blocks.back().get()[0] = std::byte{1};
        } else if (!blocks.empty()) {
            std::swap(blocks[random(static_cast<std::uint32_t>(blocks.size()))], blocks.back());
            blocks.pop_back();
        }
        std::size_t in_use = 0;
        for (const Block& block : blocks) {
            in_use += block.get_deleter().size;
        }
        peak = std::max(peak, in_use);
        const MemoryPool::Usage usage = pool_.usage();
        ASSERT_EQ(usage.in_use, in_use);
        ASSERT_EQ(usage.peak_in_use, peak);
        ASSERT_LE(usage.in_use + usage.free, peak);
        now += std::chrono::milliseconds(random(900));
    }
}

TEST_F(Pool, WhatIsTooMuchGoesBackToTheSystemOldestFirst) {
    auto [old, between, young] = side_by_side(2, 1, 2);
    const std::byte* const of_old = old.get();
    const std::byte* const of_young = young.get();
    old.reset();
    ++now;
    young.reset();
    // With 3 more pages, and 4 free ones, there would be 8, where the peak is 5.
    const Block large = pool_.take(3 * page);
    expect_usage(4, 1, 5);
    EXPECT_FALSE(is_mapped(of_old));
    EXPECT_FALSE(is_mapped(of_young + page));
    EXPECT_EQ(pool_.take(page).get(), of_young);
}

TEST_F(Pool, WhatHasBeenFreeFor5SecondsGoesBack) {
    pool_.take(page).reset();
    now += MemoryPool::longest_free - MemoryPool::Time(1);
    pool_.release_expired();
    expect_usage(0, 1, 1);
    ++now;
    pool_.release_expired();
    expect_usage(0, 0, 1);
}

TEST_F(Pool, EachBlockExpiresInItsTime) {
    auto [first, second, third] = side_by_side(1, 1, 1);
    for (Block* const block : {&third, &first, &second}) {
        block->reset();
        now += std::chrono::seconds(1);
    }
    for (const std::size_t left : std::initializer_list<std::size_t>{3, 3, 2, 1, 0}) {
        pool_.release_expired();
        EXPECT_EQ(pool_.usage().free, left * page);
        now += std::chrono::seconds(1);
    }
}

TEST_F(Pool, WhatIsTakenAgainAndAgainStaysAndTheRestExpires) {
    pool_.take(8 * page).reset();
    const std::byte* const address = taken_and_freed(pool_, page);
    for (int second = 0; second < 20; ++second) {
        now += std::chrono::seconds(1);
        EXPECT_EQ(pool_.take(page).get(), address);
        EXPECT_EQ(pool_.usage().free, (second < 4 ? 8 : 1) * page) << second;
    }
}

TEST_F(Pool, ToTakeGivesBackWhatIsExpired) {
    pool_.take(4 * page).reset();
    now += MemoryPool::longest_free;
    const Block block = pool_.take(page);
    expect_usage(1, 0, 4);
}

TEST_F(Pool, ReleaseGivesBackAllThatIsFree) {
    const Block kept = pool_.take(page);
    const std::byte* const address = taken_and_freed(pool_, 4 * page);
    ASSERT_TRUE(is_mapped(address));
    pool_.release();
    expect_usage(1, 0, 5);
    EXPECT_FALSE(is_mapped(address));
    EXPECT_TRUE(is_mapped(kept.get()));
}

TEST_F(Pool, FreeBlocksComeFromAnyThread) {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&] {
            Block handed_over;
            for (int call = 0; call < 500; ++call) {
                Block block = pool_.take((1 + static_cast<std::size_t>(call) % 3) * page);
                block.get()[0] = std::byte{1};
                std::swap(block, handed_over);
            }
            std::thread([last = std::move(handed_over)] {}).join();
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    const MemoryPool::Usage usage = pool_.usage();
    EXPECT_EQ(usage.in_use, 0);
    EXPECT_LE(usage.peak_in_use, page * 4 * 5);
    EXPECT_LE(usage.free, usage.peak_in_use);
}

TEST(MemoryPool, HasALimit) {
    MemoryPool pool(4 * page + 1);
    Block block = pool.take(3 * page);
    EXPECT_EQ(pool.take(page + 1), nullptr);
    EXPECT_NE(pool.take(page), nullptr);
    EXPECT_EQ(pool.usage().free, page);
    block.reset();
    EXPECT_EQ(pool.take(5 * page), nullptr);
    block = pool.take(2 * page);
    const Block other = pool.take(2 * page);
    EXPECT_NE(other, nullptr);
    EXPECT_LE(pool.usage().in_use + pool.usage().free, pool.limit());
}

TEST(MemoryPool, WithALimitOf0GivesNothing) {
    MemoryPool pool(0);
    EXPECT_EQ(pool.take(page), nullptr);
    EXPECT_EQ(pool.take(1), nullptr);
    EXPECT_EQ(pool.usage().peak_in_use, 0);
}

TEST(MemoryPool, GivesNothingWhereThereIsNoMemory) {
    MemoryPool pool(MemoryPool::unlimited);
    pool.take(3 * page).reset();
    for (const std::size_t size : {std::size_t{1} << 60U, MemoryPool::unlimited, ~std::size_t{0}}) {
        EXPECT_EQ(pool.take(size), nullptr);
    }
    EXPECT_EQ(pool.usage().in_use, 0);
    EXPECT_EQ(pool.usage().peak_in_use, 3 * page) << "what was not to be had is no peak";
    EXPECT_EQ(pool.usage().free, 0) << "it was all the pool could give up";
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

/// The status of a child that may have only so much more memory than its parent has.
int status_of_child_with(std::size_t more, int (*program)()) {
    const pid_t child = fork();
    if (child == 0) {
        rlimit limit{};
        getrlimit(RLIMIT_AS, &limit);
        std::int64_t pages = 0;
        if (!(std::ifstream("/proc/self/statm") >> pages)) {
            _exit(100);
        }
        limit.rlim_cur = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE)) + more;
        setrlimit(RLIMIT_AS, &limit);
        _exit(program());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(MemoryPool, GivesUpFreeBlocksWhereMemoryEnds) {
    const auto program = [] {
        MemoryPool pool(MemoryPool::unlimited);
        Block low = pool.take(30 * page);
        const Block between = pool.take(page);
        Block high = pool.take(30 * page);
        low.reset();
        high.reset();
        // 61 pages are there and 80 may be: 45 in one need the others' room.
        const bool is_there = pool.take(45 * page) != nullptr;
        return is_there && pool.usage().in_use == page ? 0 : 1;
    };
    EXPECT_EQ(status_of_child_with(80 * page, program), 0);
}

#endif

TEST(MemoryPool, AForkedChildBeginsWithoutItsParentsFreeBlocks) {
    MemoryPool& pool = process_memory_pool();
    const Block kept = pool.take(page);
    ASSERT_NE(kept, nullptr) << "NORMGRAPH_POOL_BYTES is set";
    kept.get()[0] = std::byte{9};
    std::byte* const freed = taken_and_freed(pool, 2 * page);
    const std::size_t free = pool.usage().free;
    const pid_t child = fork();
    if (child == 0) {
        alarm(30);
        bool is_right = pool.usage().free == 0 && !is_mapped(freed);
        is_right = is_right && kept.get()[0] == std::byte{9} && pool.take(page) != nullptr;
        _exit(is_right ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_EQ(pool.usage().free, free);
    EXPECT_TRUE(is_mapped(freed));
}

#if defined(__SANITIZE_ADDRESS__)

TEST(MemoryPool, FreeBlocksArePoisoned) {
    MemoryPool pool(MemoryPool::unlimited);
    Block block = pool.take(page + 64);
    std::byte* const address = block.get();
    EXPECT_EQ(__asan_region_is_poisoned(address, page + 64), nullptr);
    EXPECT_TRUE(__asan_address_is_poisoned(address + page + 64)) << "behind what was asked for";
    EXPECT_TRUE(__asan_address_is_poisoned(address + 2 * page - 1));
    block.reset();
    EXPECT_TRUE(__asan_address_is_poisoned(address));
    EXPECT_TRUE(__asan_address_is_poisoned(address + 2 * page - 1));
    block = pool.take(2 * page);
    EXPECT_EQ(block.get(), address);
    EXPECT_EQ(__asan_region_is_poisoned(address, 2 * page), nullptr);
    block.reset();
    pool.release();
    EXPECT_EQ(__asan_region_is_poisoned(address, 2 * page), nullptr) << "another's from now on";
}

#endif

}  // namespace
}  // namespace normgraph::runtime

#endif
