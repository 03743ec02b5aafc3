#pragma once

#include <algorithm>
#include <cstdint>

#include "normgraph/kernel/reference/share_channels.hpp"
#include "normgraph/kernel/threads/parallel_for.hpp"

namespace normgraph::kernel::reference {

/// Calls `function(begin, end)` for parts of 0 … count − 1, on several threads where the work, in
/// elements, is worth them.
template <typename Function>
void share_elements(std::int64_t count, std::int64_t work, std::int64_t num_threads,
                    const Function& function) {
    const std::int64_t threads = std::min(num_threads, 1 + work / elements_per_thread);
    const std::int64_t tasks = threads <= 1 ? 1 : std::min(count, threads * tasks_per_thread);
    parallel_for(tasks, threads, [&](std::int64_t task) {
        // Not count * task / tasks, which may overflow.
        const std::int64_t size = count / tasks;
        const std::int64_t larger = count % tasks;
        const std::int64_t begin = task * size + std::min(task, larger);
        function(begin, begin + size + (task < larger ? 1 : 0));
    });
}

}  // namespace normgraph::kernel::reference
