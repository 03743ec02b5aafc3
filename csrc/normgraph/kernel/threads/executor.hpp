#pragma once

#include <cstdint>

#include "normgraph/kernel/threads/function_reference.hpp"

/// Threads of a host, on which kernels run instead of those of the process's own pool.
namespace normgraph::kernel {

/// While it lives, kernels that this thread calls share their work on a host's threads, and wake
/// none of the pool's: beside another runtime's threads, which look for work for a while after each
/// of their own, a pool gains nothing from a second thread. The bits are the same.
///
/// How many tasks there are at most is the kernel's argument num_threads. Scopes may be nested; the
/// innermost counts.
class ScopedExecutor {
public:
    using Task = FunctionReference<void(std::int64_t)>;
    /// Calls task(0) … task(count − 1), each once, on threads of its choice, the caller's among
    /// them or not, at once or one after another, and returns when all have returned. Tasks do not
    /// throw.
    using Run = FunctionReference<void(std::int64_t count, Task task)>;

    /// `run` must live as long as this object.
    explicit ScopedExecutor(Run run) noexcept;
    ~ScopedExecutor();
    ScopedExecutor(const ScopedExecutor&) = delete;
    ScopedExecutor& operator=(const ScopedExecutor&) = delete;

    /// That of this thread; null if there is none.
    static const ScopedExecutor* current() noexcept;

    void run(std::int64_t count, Task task) const { run_(count, task); }

private:
    Run run_;
    const ScopedExecutor* outer_;
};

}  // namespace normgraph::kernel
