#include "normgraph/kernel/threads/thread_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../message_of.hpp"
#include "meeting.hpp"
#include "normgraph/kernel/threads/parallel_for.hpp"
#include "normgraph/kernel/threads/processors.hpp"

namespace normgraph::kernel {
namespace {

constexpr std::int64_t thread_counts[] = {1, 2, 3, 7};

TEST(ParallelFor, CallsEachTaskOnce) {
    for (const std::int64_t threads : {-1, 0, 1, 2, 3, 7, 40}) {
        for (const std::int64_t tasks : {-1, 0, 1, 2, 3, 7, 64, 300'000}) {
            // Not atomic: the tasks' writes must be visible when the call has returned.
            std::vector<int> calls(static_cast<std::size_t>(std::max<std::int64_t>(tasks, 0)));
            parallel_for(tasks, threads,
                         [&](std::int64_t task) { ++calls[static_cast<std::size_t>(task)]; });
            EXPECT_EQ(std::count(calls.begin(), calls.end(), 1),
                      static_cast<std::ptrdiff_t>(calls.size()))
                << tasks << " tasks, " << threads << " threads";
        }
    }
}

TEST(ParallelFor, ReturnsWhenTheTasksOfAllThreadsHaveEnded) {
    const std::thread::id caller = std::this_thread::get_id();
    Meeting meeting(2);
    std::atomic<bool> other_has_ended{false};
    parallel_for(2, 2, [&](std::int64_t) {
        meeting.attend();
        if (std::this_thread::get_id() != caller) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            other_has_ended = true;
        }
    });
    EXPECT_TRUE(other_has_ended);
}

TEST(ParallelFor, RunsOnAsManyThreadsAsAskedFor) {
    for (const int threads : {2, 3, 7}) {
        Meeting meeting(threads);
        std::atomic<int> met{0};
        parallel_for(threads, threads, [&](std::int64_t) { met += meeting.attend() ? 1 : 0; });
        EXPECT_EQ(met, threads);
        EXPECT_GE(process_thread_pool().worker_count(), threads - 1);
    }
}

TEST(ParallelFor, StartsABoundedNumberOfThreads) {
    std::atomic<int> calls{0};
    constexpr std::int64_t tasks = 2000;
    parallel_for(tasks, std::int64_t{1} << 62, [&](std::int64_t) { ++calls; });
    EXPECT_EQ(calls, tasks);
    EXPECT_LE(process_thread_pool().worker_count(),
              std::max<std::int64_t>(4 * available_processors(), 31));
}

TEST(ParallelFor, RunsOnNoMoreThreadsThanAskedFor) {
    parallel_for(8, 8, [](std::int64_t) {});
    std::mutex mutex;
    std::set<std::thread::id> threads;
    parallel_for(200, 3, [&](std::int64_t) {
        std::this_thread::sleep_for(std::chrono::microseconds(50));
        const std::lock_guard lock(mutex);
        threads.insert(std::this_thread::get_id());
    });
    EXPECT_LE(threads.size(), 3U);
}

TEST(ParallelFor, WithOneThreadIsAPlainLoop) {
    std::vector<std::int64_t> order;
    std::set<std::thread::id> threads;
    parallel_for(5, 1, [&](std::int64_t task) {
        order.push_back(task);
        threads.insert(std::this_thread::get_id());
    });
    EXPECT_EQ(order, (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
    EXPECT_EQ(threads, (std::set{std::this_thread::get_id()}));
}

TEST(ParallelFor, NestedRunsInTheTasksThread) {
    std::atomic<int> elsewhere{0};
    std::atomic<int> calls{0};
    parallel_for(4, 2, [&](std::int64_t) {
        const std::thread::id outer = std::this_thread::get_id();
        parallel_for(8, 4, [&](std::int64_t) {
            std::this_thread::sleep_for(std::chrono::microseconds(50));
            ++calls;
            elsewhere += std::this_thread::get_id() == outer ? 0 : 1;
        });
    });
    EXPECT_EQ(calls, 32);
    EXPECT_EQ(elsewhere, 0);
}

TEST(ParallelFor, NestedInAPlainLoopHasThreads) {
    for (const std::int64_t outer_threads : {1, 2}) {
        Meeting meeting(2);
        std::atomic<int> met{0};
        parallel_for(1, outer_threads, [&](std::int64_t) {
            parallel_for(2, 2, [&](std::int64_t) { met += meeting.attend() ? 1 : 0; });
        });
        EXPECT_EQ(met, 2);
    }
}

TEST(ParallelFor, ThrowsWhatAPlainLoopWouldThrow) {
    // Failures in the order of their indices, and in the other: both tasks have begun before.
    for (const std::int64_t slow_task : {6, 5}) {
        for (const std::int64_t threads : thread_counts) {
            std::atomic<std::int64_t> calls{0};
            const std::string message = message_of<std::runtime_error>([&] {
                parallel_for(1'000'000, threads, [&](std::int64_t task) {
                    ++calls;
                    if (task >= 5) {
                        const int delay = task == slow_task ? 20 : 2;
                        std::this_thread::sleep_for(std::chrono::milliseconds(delay));
                        throw std::runtime_error("task " + std::to_string(task));
                    }
                });
            });
            EXPECT_EQ(message, "task 5") << threads << " threads, " << slow_task << " is slow";
            EXPECT_LT(calls, 1000) << "the remaining tasks are left out";
        }
    }
}

TEST(ParallelFor, WorksAfterAFailure) {
    const auto fail = [](std::int64_t) { throw std::runtime_error("failed"); };
    EXPECT_EQ(message_of<std::runtime_error>([&] { parallel_for(2, 2, fail); }), "failed");
    Meeting meeting(2);
    std::atomic<int> met{0};
    parallel_for(2, 2, [&](std::int64_t) { met += meeting.attend() ? 1 : 0; });
    EXPECT_EQ(met, 2);
}

TEST(ParallelFor, ServesManyCallersAtOnce) {
    constexpr int callers = 8;
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int caller = 0; caller < callers; ++caller) {
        threads.emplace_back([&, caller] {
            for (int round = 0; round < 100; ++round) {
                std::vector<std::int64_t> squares(50);
                parallel_for(50, 1 + (caller + round) % 4, [&](std::int64_t task) {
                    squares[static_cast<std::size_t>(task)] = task * task + caller;
                });
                for (std::int64_t task = 0; task < 50; ++task) {
                    const std::int64_t square = squares[static_cast<std::size_t>(task)];
                    wrong += square == task * task + caller ? 0 : 1;
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(wrong, 0);
}

TEST(ParallelFor, DoesNotWaitForThreadsThatAreBusyElsewhere) {
    // The first call, that of `first`, takes every thread of the pool, which may have no more.
    const int everyone =
        static_cast<int>(std::max<std::int64_t>(1, process_thread_pool().worker_count())) + 1;
    Meeting meeting(everyone);
    std::atomic<bool> second_call_is_done{false};
    std::atomic<bool> first_call_was_busy{true};
    std::thread first([&] {
        parallel_for(everyone, everyone, [&](std::int64_t) {
            if (!meeting.attend() ||
                !Meeting::wait_for([&] { return second_call_is_done.load(); })) {
                first_call_was_busy = false;
            }
        });
    });
    EXPECT_TRUE(meeting.watch());
    std::atomic<int> calls{0};
    parallel_for(10, 4, [&](std::int64_t) { ++calls; });
    second_call_is_done = true;
    first.join();
    EXPECT_EQ(calls, 10);
    EXPECT_TRUE(first_call_was_busy);
}

bool divides_to_nearest() {
    const volatile double three = 3.0;  // Divided at run time; the constant is rounded to nearest.
    const volatile double third = 1.0 / three;
    return third == 1.0 / 3.0;
}

TEST(ParallelFor, RunsTasksInTheDefaultFloatingPointEnvironment) {
    for (const int count : {1, 2, 5}) {
        std::fesetround(FE_UPWARD);
        Meeting meeting(count);
        std::atomic<int> to_nearest{0};
        parallel_for(count, count, [&](std::int64_t) {
            meeting.attend();
            to_nearest += divides_to_nearest() ? 1 : 0;
        });
        const bool callers_mode_is_back = !divides_to_nearest();
        std::fesetround(FE_TONEAREST);
        EXPECT_EQ(to_nearest, count);
        EXPECT_TRUE(callers_mode_is_back);
    }
}

TEST(ThreadPool, ThreadsDoNotInheritTheFloatingPointEnvironment) {
    // At least two of the helpers are started here, by a thread in another mode.
    const int helpers = static_cast<int>(process_thread_pool().worker_count()) + 2;
    constexpr int threads_that_any_pool_has = 31;
    if (helpers > threads_that_any_pool_has) {
        GTEST_SKIP() << "tests before this one have started all threads";
    }
    Meeting meeting(helpers + 1);
    std::atomic<int> to_nearest{0};
    const auto task = [&](std::int64_t) {
        meeting.attend();
        to_nearest += divides_to_nearest() ? 1 : 0;
    };
    Job job(helpers + 1, task);
    std::fesetround(FE_UPWARD);
    process_thread_pool().run(job, helpers);
    std::fesetround(FE_TONEAREST);
    EXPECT_EQ(to_nearest, helpers) << "all but the calling thread";
}

// Each of these runs in a new process, which then ends as any program does.
class ParallelForAtExit : public testing::Test {
protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(ParallelForAtExit, ThreadsMaySleep) {
    EXPECT_EXIT(
        {
            parallel_for(100, 4, [](std::int64_t) {});
            std::exit(3);
        },
        testing::ExitedWithCode(3), "");
}

TEST_F(ParallelForAtExit, ThreadsMayBeAtWork) {
    EXPECT_EXIT(
        {
            std::thread([] {
                for (;;) {
                    parallel_for(100, 4, [](std::int64_t) {});
                }
            }).detach();
            parallel_for(100, 4, [](std::int64_t) {});
            std::exit(3);
        },
        testing::ExitedWithCode(3), "");
}

TEST_F(ParallelForAtExit, IsOfUseToStaticDestructors) {
    EXPECT_EXIT(
        {
            std::atexit([] {
                Meeting meeting(3);
                std::atomic<int> met{0};
                parallel_for(3, 3, [&](std::int64_t) { met += meeting.attend() ? 1 : 0; });
                if (met != 3) {
                    std::_Exit(4);
                }
            });
            parallel_for(100, 2, [](std::int64_t) {});
            std::exit(3);
        },
        testing::ExitedWithCode(3), "");
}

}  // namespace
}  // namespace normgraph::kernel
