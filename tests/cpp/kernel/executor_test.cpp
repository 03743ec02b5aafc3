#include "normgraph/kernel/threads/executor.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cfenv>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/kernel/threads/parallel_for.hpp"
#include "normgraph/kernel/threads/thread_pool.hpp"

namespace normgraph::kernel {
namespace {

bool rounds_to_nearest() {
    const volatile float one = 1.0F, little = 0x1p-30F;
    return one + little == 1.0F;
}

/// A host with a new thread for each task; counts what it was given.
class ThreadPerTask {
public:
    void operator()(std::int64_t count, ScopedExecutor::Task task) {
        counts.push_back(count);
        std::vector<std::thread> threads;
        for (std::int64_t index = 0; index < count; ++index) {
            threads.emplace_back([&, index] {
                std::fesetround(FE_UPWARD);
                task(index);
                EXPECT_FALSE(rounds_to_nearest());
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
    }

    std::vector<std::int64_t> counts;
};

TEST(ScopedExecutor, RunsEachTaskOnceOnTheHostsThreads) {
    ThreadPerTask host;
    const ScopedExecutor executor(host);
    std::mutex mutex;
    std::multiset<std::int64_t> ran;
    std::set<std::thread::id> threads;
    parallel_for(100, 3, [&](std::int64_t task) {
        EXPECT_TRUE(rounds_to_nearest());
        const std::lock_guard lock(mutex);
        ran.insert(task);
        threads.insert(std::this_thread::get_id());
    });
    std::vector<std::int64_t> all(100);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_TRUE(std::ranges::equal(ran, all));
    EXPECT_EQ(host.counts, std::vector<std::int64_t>{3});
    EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

TEST(ScopedExecutor, IsThatOfTheInnermostScopeOfTheThread) {
    EXPECT_EQ(ScopedExecutor::current(), nullptr);
    ThreadPerTask host;
    {
        const ScopedExecutor outer(host);
        {
            const ScopedExecutor inner(host);
            EXPECT_EQ(ScopedExecutor::current(), &inner);
        }
        EXPECT_EQ(ScopedExecutor::current(), &outer);
        std::thread([] { EXPECT_EQ(ScopedExecutor::current(), nullptr); }).join();
    }
    EXPECT_EQ(ScopedExecutor::current(), nullptr);
}

TEST(ScopedExecutor, MayRunTasksOneAfterAnotherInAnyOrder) {
    auto backwards = [](std::int64_t count, ScopedExecutor::Task task) {
        for (std::int64_t index = count; index-- > 0;) {
            task(index);
        }
    };
    const ScopedExecutor executor(backwards);
    std::vector<int> calls(50);
    parallel_for(50, 7, [&](std::int64_t task) {
        // Within a task there is no more to share.
        parallel_for(2, 7, [&](std::int64_t) { ++calls[static_cast<std::size_t>(task)]; });
    });
    EXPECT_EQ(calls, std::vector<int>(50, 2));
}

TEST(ScopedExecutor, OneTaskNeedsNoHost) {
    ThreadPerTask host;
    const ScopedExecutor executor(host);
    parallel_for(1, 7, [](std::int64_t) {});
    parallel_for(7, 1, [](std::int64_t) {});
    EXPECT_TRUE(host.counts.empty());
}

TEST(ScopedExecutor, TheFirstFailureComesOut) {
    ThreadPerTask host;
    const ScopedExecutor executor(host);
    for (int attempt = 0; attempt < 20; ++attempt) {
        try {
            parallel_for(64, 3, [](std::int64_t task) {
                if (task >= 5) {
                    throw std::runtime_error(std::to_string(task));
                }
            });
            FAIL() << "nothing was thrown";
        } catch (const std::runtime_error& error) {
            EXPECT_STREQ(error.what(), "5");
        }
    }
}

TEST(ScopedExecutor, KernelsGiveTheSameBitsAndWakeNoThreadOfThePool) {
    constexpr std::int64_t channels = 64, samples = 40, length = 49;
    const std::array shape{samples, channels, length};
    const std::array<std::int64_t, 3> strides{channels * length * 4, length * 4, 4};
    std::vector<float> input(static_cast<std::size_t>(samples * channels * length));
    for (std::size_t index = 0; index < input.size(); ++index) {
        input[index] = static_cast<float>(index % 1013) / 7.0F - 50.0F;
    }
    const auto normalized = [&](const Implementation& implementation, std::int64_t threads) {
        std::vector<float> result(input.size());
        run(
            BatchNormTrainingArguments{
                .problem = {shape, 1, ElementType::f32, ElementType::f32, ElementType::f32, 1e-5},
                .input = {reinterpret_cast<const std::byte*>(input.data()), strides},
                .gamma = {},
                .beta = {},
                .normalized = {reinterpret_cast<std::byte*>(result.data()), strides},
                .mean = {},
                .variance = {},
            },
            threads, implementation);
        return result;
    };
    for (const Implementation& implementation : built_implementations()) {
        if (!implementation.runs_here()) {
            continue;
        }
        const std::vector<float> expected = normalized(implementation, 1);
        const std::int64_t workers = process_thread_pool().worker_count();
        ThreadPerTask host;
        const ScopedExecutor executor(host);
        EXPECT_EQ(normalized(implementation, 3), expected) << implementation.name;
        EXPECT_FALSE(host.counts.empty()) << implementation.name;
        EXPECT_EQ(process_thread_pool().worker_count(), workers);
    }
}

}  // namespace
}  // namespace normgraph::kernel
