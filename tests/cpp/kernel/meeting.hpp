#pragma once

#include <atomic>
#include <chrono>
#include <thread>

namespace normgraph::kernel {

/// Lets a test see that threads are at work at the same time.
class Meeting {
public:
    explicit Meeting(int expected) : expected_(expected) {}

    /// Waits until as many threads as expected are here; false if they have not come in a minute.
    bool attend() {
        ++present_;
        return watch();
    }

    /// The same for a thread that does not count.
    bool watch() const {
        return wait_for([this] { return present_ >= expected_; });
    }

    template <class Condition>
    static bool wait_for(Condition condition) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline) {
                return false;
            }
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
        return true;
    }

private:
    const int expected_;
    std::atomic<int> present_{0};
};

}  // namespace normgraph::kernel
