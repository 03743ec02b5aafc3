#include "normgraph/runtime/cache_lock.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>

namespace normgraph::runtime {
namespace {

/// Whether a child that is forked now can take the lock; a child that hangs is ended by its alarm.
bool a_child_can_lock() {
    const pid_t child = fork();
    if (child == 0) {
        alarm(30);
        {
            const CacheLock lock;
        }
        {
            const CacheLock again;
        }
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(CacheLock, IsNotLeftLockedByAFork) {
    for (int round = 0; round < 20; ++round) {
        std::atomic<bool> is_held{false};
        std::thread holder([&] {
            const CacheLock lock;
            is_held = true;
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        });
        while (!is_held) {
            std::this_thread::yield();
        }
        EXPECT_TRUE(a_child_can_lock());
        holder.join();
    }
    const CacheLock lock;  // the parent's is free as well
}

}  // namespace
}  // namespace normgraph::runtime

#endif
