#include "normgraph/kernel/threads/job.hpp"

namespace normgraph::kernel {
namespace {

constinit thread_local bool runs_a_task = false;

}  // namespace

void Job::work() noexcept {
    const Interruption::Helper helper(interruption_);
    runs_a_task = true;
    for (;;) {
        // Relaxed: the pool's mutex, or the host, orders the tasks' memory before and after the
        // job.
        const std::int64_t index = next_task_.fetch_add(1, std::memory_order_relaxed);
        if (index >= task_count_) {
            break;
        }
        try {
            stop_if_interrupted();
            task_(index);
        } catch (...) {
            fail(index);
        }
    }
    runs_a_task = false;
}

// Tasks are taken in ascending order: when one fails, all before it have been taken and will run to
// their own failure. So the least index that ends up here is the one a plain loop would reach.
void Job::fail(std::int64_t task_index) noexcept {
    next_task_.store(task_count_, std::memory_order_relaxed);
    const std::lock_guard lock(failure_mutex_);
    if (failure_ == nullptr || task_index < failed_task_) {
        failed_task_ = task_index;
        failure_ = std::current_exception();
    }
}

void Job::rethrow_failure() const {
    if (failure_ != nullptr) {
        std::rethrow_exception(failure_);
    }
}

bool Job::is_running_in_this_thread() noexcept {
    return runs_a_task;
}

}  // namespace normgraph::kernel
