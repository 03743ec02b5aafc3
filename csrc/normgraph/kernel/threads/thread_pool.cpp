#include "normgraph/kernel/threads/thread_pool.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <new>
#include <thread>

#include "normgraph/kernel/threads/floating_point_environment.hpp"
#include "normgraph/kernel/threads/interruption.hpp"
#include "normgraph/kernel/threads/loaded_module.hpp"
#include "normgraph/kernel/threads/processors.hpp"

#if defined(__unix__) || defined(__APPLE__)
#define NORMGRAPH_HAS_FORK 1
#include <pthread.h>
#else
#define NORMGRAPH_HAS_FORK 0
#endif

namespace normgraph::kernel {
namespace {

/// To sleep and be woken takes 20 to 40 µs on a virtual machine, where the kernels of small tensors
/// take as long. So whoever is about to sleep first looks out for that long: measured with two
/// threads, a job of 100 µs takes 104 µs instead of 139, one of 30 µs 34 instead of 65. Yielding
/// gives the processor to any other thread that wants it: with more threads than processors, this
/// was measured to cost nothing.
template <class Condition>
void look_out_for(Condition condition) {
    constexpr std::chrono::microseconds patience(50);
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition() && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
    }
}

/// Threads beyond the processors gain nothing, but for those that wait for something else in their
/// tasks. Whoever asks for any number of them must not be left with hundreds that sleep.
std::int64_t useful_workers() {
    constexpr std::int64_t per_processor = 4;
    constexpr std::int64_t at_least = 31;
    return std::max(per_processor * available_processors(), at_least);
}

// Never deleted, see ThreadPool. No function-local static: a fork during its initialization would
// leave the child waiting for ever for a thread that it does not have.
constinit std::atomic<ThreadPool*> current_pool{nullptr};

}  // namespace

ThreadPool::ThreadPool() : max_workers_(useful_workers()) {}

void ThreadPool::run(Job& job, std::int64_t max_helpers) {
    Offer offer{job, std::min(max_helpers, max_workers_)};
    publish(offer);
    job.work();
    withdraw(offer);
}

void ThreadPool::publish(Offer& offer) {
    const std::int64_t seats = offer.free_seats;
    bool all = false;
    {
        const std::lock_guard lock(mutex_);
        start_workers(seats);
        offers_.push_back(&offer);
        has_offers_ = true;
        all = seats >= worker_count_;
    }
    if (all) {
        job_is_offered_.notify_all();
        return;
    }
    for (std::int64_t seat = 0; seat < seats; ++seat) {
        job_is_offered_.notify_one();
    }
}

void ThreadPool::withdraw(Offer& offer) {
    if (is_abandoned()) {
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        remove(offer);
    }
    const auto is_ours_alone = [&] { return offer.helpers == 0; };
    look_out_for(is_ours_alone);
    // Under the mutex also if they have left: the last one may still be about to notify.
    std::unique_lock lock(mutex_);
    Interruption* const interruption = offer.job.interruption();
    while (interruption != nullptr && !interruption->is_requested() &&
           !offer.helpers_have_left.wait_for(lock, Interruption::period, is_ours_alone)) {
        lock.unlock();
        interruption->ask();
        if (is_abandoned()) {
            return;
        }
        lock.lock();
    }
    offer.helpers_have_left.wait(lock, is_ours_alone);
}

bool ThreadPool::is_abandoned() const {
    return current_pool.load(std::memory_order_relaxed) != this;
}

void ThreadPool::remove(Offer& offer) {
    std::erase(offers_, &offer);
    has_offers_ = !offers_.empty();
}

void ThreadPool::start_workers(std::int64_t wanted) {
    while (worker_count_ < wanted) {
        try {
            std::thread([this] { serve(); }).detach();
        } catch (const std::exception&) {
            return;  // The system gives no more threads, or no memory: those there are do the job.
        }
        ++worker_count_;
    }
}

void ThreadPool::serve() {
    const DefaultFloatingPointEnvironment environment;
    std::unique_lock lock(mutex_);
    for (;;) {
        job_is_offered_.wait(lock, [&] { return !offers_.empty(); });
        Offer& offer = *offers_.front();
        ++offer.helpers;
        if (--offer.free_seats == 0) {
            remove(offer);
        }
        lock.unlock();
        offer.job.work();
        lock.lock();
        if (--offer.helpers == 0) {
            offer.helpers_have_left.notify_one();
        }
        lock.unlock();
        look_out_for([this] { return has_offers_.load(); });
        lock.lock();
    }
}

std::int64_t ThreadPool::worker_count() const {
    const std::lock_guard lock(mutex_);
    return worker_count_;
}

namespace {

std::unique_ptr<ThreadPool> prepare_pool() {
    keep_this_module_loaded();
#if NORMGRAPH_HAS_FORK
    // Threads that come here at once all register; to abandon a pool twice does no harm.
    const auto abandon_pool = [] { current_pool.store(nullptr, std::memory_order_relaxed); };
    if (pthread_atfork(nullptr, nullptr, abandon_pool) != 0) {
        throw std::bad_alloc();
    }
#endif
    return std::make_unique<ThreadPool>();
}

}  // namespace

ThreadPool& process_thread_pool() {
    ThreadPool* pool = current_pool.load(std::memory_order_acquire);
    if (pool == nullptr) {
        std::unique_ptr<ThreadPool> made = prepare_pool();
        if (current_pool.compare_exchange_strong(pool, made.get(), std::memory_order_acq_rel)) {
            pool = made.release();
        }
    }
    return *pool;
}

}  // namespace normgraph::kernel
