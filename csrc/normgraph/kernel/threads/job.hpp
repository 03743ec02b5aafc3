#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>

#include "normgraph/kernel/threads/function_reference.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel {

/// The tasks of one parallel_for, taken from a shared counter by every thread that works on them.
class Job {
public:
    /// Interruptible if what the calling thread does is.
    Job(std::int64_t task_count, FunctionReference<void(std::int64_t)> task)
        : task_count_(task_count), task_(task), interruption_(Interruption::current()) {}

    /// Takes and runs tasks until none is left to take (others may still be running theirs).
    void work() noexcept;

    /// Null if the work is not interruptible.
    Interruption* interruption() const { return interruption_; }

    /// Throws what the first failed task (by index) has thrown, if one has. To be called when
    /// every thread has left `work`.
    void rethrow_failure() const;

    /// Whether the caller is a task.
    static bool is_running_in_this_thread() noexcept;

private:
    void fail(std::int64_t task_index) noexcept;

    const std::int64_t task_count_;
    const FunctionReference<void(std::int64_t)> task_;
    Interruption* const interruption_;
    std::atomic<std::int64_t> next_task_{0};

    std::mutex failure_mutex_;
    std::int64_t failed_task_ = 0;  // guarded by failure_mutex_, as is failure_
    std::exception_ptr failure_;
};

}  // namespace normgraph::kernel
