#pragma once

#include <algorithm>
#include <cstdint>

#include "normgraph/kernel/threads/parallel_for.hpp"
#include "normgraph/kernel/tuning.hpp"

namespace normgraph::kernel {

/// The threads that are worth waking, which takes some 20 µs, num_threads at most.
/// `least_work`: the least work that is worth one.
inline std::int64_t useful_threads(std::int64_t work, std::int64_t least_work,
                                   std::int64_t num_threads) {
    return std::min(num_threads, 1 + work / least_work);
}

/// Calls `function(begin, end)` for ranges of nearly equal size that together are 0 … count − 1.
template <typename Function>
void share_range(std::int64_t count, std::int64_t threads, const Function& function) {
    const std::int64_t tasks = threads <= 1 ? 1 : std::min(count, threads * tasks_per_thread);
    parallel_for(tasks, threads, [&](std::int64_t task) {
        // Not count * task / tasks, which may overflow.
        const std::int64_t size = count / tasks;
        const std::int64_t larger = count % tasks;
        const std::int64_t begin = task * size + std::min(task, larger);
        function(begin, begin + size + (task < larger ? 1 : 0));
    });
}

}  // namespace normgraph::kernel
