// What a forked child does with a pool that its parent has used.
#if defined(__unix__) || defined(__APPLE__)

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "meeting.hpp"
#include "normgraph/kernel/threads/parallel_for.hpp"
#include "normgraph/kernel/threads/thread_pool.hpp"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NORMGRAPH_TESTED_BY_THREAD_SANITIZER 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define NORMGRAPH_TESTED_BY_THREAD_SANITIZER 1
#endif

namespace normgraph::kernel {
namespace {

bool threads_meet(int threads) {
    Meeting meeting(threads);
    std::atomic<int> met{0};
    parallel_for(threads, threads, [&](std::int64_t) { met += meeting.attend() ? 1 : 0; });
    return met == threads;
}

/// Whether the check holds in a forked child; false too if the child crashes or hangs.
template <class Check>
bool holds_in_child(Check check) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(check() ? 0 : 1);
    }
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

class ParallelForAfterFork : public testing::Test {
protected:
    void SetUp() override {
#if defined(NORMGRAPH_TESTED_BY_THREAD_SANITIZER)
        GTEST_SKIP() << "ThreadSanitizer supports no threads in the child of a threaded process";
#endif
    }
};

TEST_F(ParallelForAfterFork, ChildHasThreadsOfItsOwn) {
    ASSERT_TRUE(threads_meet(3));
    EXPECT_TRUE(holds_in_child([] { return threads_meet(3); }));
    EXPECT_TRUE(threads_meet(3)) << "the parent keeps its threads";
}

TEST_F(ParallelForAfterFork, GrandchildHasThreadsOfItsOwn) {
    ASSERT_TRUE(threads_meet(2));
    EXPECT_TRUE(holds_in_child(
        [] { return threads_meet(2) && holds_in_child([] { return threads_meet(2); }); }));
}

TEST_F(ParallelForAfterFork, ChildStartsOnlyTheThreadsItNeeds) {
    ASSERT_TRUE(threads_meet(4));
    EXPECT_TRUE(holds_in_child([] {
        parallel_for(100, 1, [](std::int64_t) {});
        const bool none = process_thread_pool().worker_count() == 0;
        return none && threads_meet(3) && process_thread_pool().worker_count() == 2;
    }));
}

TEST_F(ParallelForAfterFork, OtherThreadsMayBeInACall) {
    // First calls allocate, which not every allocator allows during a fork (AddressSanitizer's does
    // not): the forks begin when each caller has made one.
    ASSERT_TRUE(threads_meet(3));
    Meeting first_calls(3);
    std::atomic<bool> stop{false};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 3; ++caller) {
        callers.emplace_back([&] {
            parallel_for(4, 3, [](std::int64_t) {});
            first_calls.attend();
            while (!stop) {
                parallel_for(4, 3, [](std::int64_t) {});
            }
        });
    }
    EXPECT_TRUE(first_calls.watch());
    for (int round = 0; round < 40; ++round) {
        EXPECT_TRUE(holds_in_child([] { return threads_meet(3); })) << "round " << round;
    }
    stop = true;
    for (std::thread& caller : callers) {
        caller.join();
    }
}

}  // namespace
}  // namespace normgraph::kernel

#endif
