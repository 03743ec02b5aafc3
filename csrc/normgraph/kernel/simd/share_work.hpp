#pragma once

#include <algorithm>
#include <cstdint>

#include "normgraph/kernel/threads/parallel_for.hpp"

namespace normgraph::kernel::simd {

/// The least work that is worth a thread, in elements read and operations on one: waking a thread
/// takes some 20 µs, in which a vector kernel does about as many.
inline constexpr std::int64_t work_per_thread = 131072;

/// More tasks than threads, so that one that is late leaves its work to the others.
inline constexpr std::int64_t tasks_per_thread = 4;

inline std::int64_t threads_for(std::int64_t work, std::int64_t num_threads) {
    return std::min(num_threads, 1 + work / work_per_thread);
}

/// The indices from begin up to end.
struct IndexRange {
    std::int64_t begin, end;
};

/// Part `part` of `count` indices in `parts` parts of nearly equal size.
inline IndexRange part_of(std::int64_t count, std::int64_t part, std::int64_t parts) {
    // Not count * part / parts, which may overflow.
    const std::int64_t size = count / parts;
    const std::int64_t larger = count % parts;
    const std::int64_t begin = part * size + std::min(part, larger);
    return {begin, begin + size + (part < larger ? 1 : 0)};
}

/// Calls `function(begin, end)` for parts of 0 … count − 1.
template <typename Function>
void share_work(std::int64_t count, std::int64_t work, std::int64_t num_threads,
                const Function& function) {
    const std::int64_t threads = threads_for(work, num_threads);
    const std::int64_t tasks = threads <= 1 ? 1 : std::min(count, threads * tasks_per_thread);
    parallel_for(tasks, threads, [&](std::int64_t task) {
        const IndexRange range = part_of(count, task, tasks);
        function(range.begin, range.end);
    });
}

}  // namespace normgraph::kernel::simd
