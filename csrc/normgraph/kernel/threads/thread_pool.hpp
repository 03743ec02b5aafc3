#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "normgraph/kernel/threads/job.hpp"

namespace normgraph::kernel {

/// Threads that sleep until a job is offered, then help with it.
///
/// A pool is never destroyed, and its threads never end: they are detached, so that nothing has to
/// be joined while the process exits (when static objects are already gone, and a join may hang).
class ThreadPool {
public:
    ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    /// Works on the job together with up to `max_helpers` threads of the pool; returns when it is
    /// done and no thread refers to it any more. Safe from any number of threads at once.
    void run(Job& job, std::int64_t max_helpers);

    /// How many threads have been started.
    std::int64_t worker_count() const;

private:
    /// A job that may have helpers. Lives on the stack of the thread in `run`; written under
    /// mutex_.
    struct Offer {
        Job& job;
        std::int64_t free_seats;
        std::atomic<std::int64_t> helpers{0};  ///< threads at work on it besides the offering one
        std::condition_variable helpers_have_left{};
    };

    void start_workers(std::int64_t wanted);
    void publish(Offer& offer);
    void withdraw(Offer& offer);
    void remove(Offer& offer);
    /// Whether this is the child of a fork that was made in the midst of a job: its helpers are not
    /// here, and the mutex may be locked for ever.
    bool is_abandoned() const;
    [[noreturn]] void serve();

    mutable std::mutex mutex_;
    std::condition_variable job_is_offered_;
    std::vector<Offer*> offers_;           // with free seats, oldest first
    std::atomic<bool> has_offers_{false};  // !offers_.empty(), for those without the mutex
    std::int64_t worker_count_ = 0;
    const std::int64_t max_workers_;
};

/// The pool of this process, made at the first call. After a fork the child has a new one: the
/// threads of the old are not there, and its mutex may be locked for ever.
ThreadPool& process_thread_pool();

}  // namespace normgraph::kernel
