#pragma once

#include <cstdint>

#include "normgraph/kernel/threads/share_range.hpp"

namespace normgraph::kernel::simd {

/// The least work that is worth a thread, in elements read and operations on one: a vector kernel
/// does about as many while one wakes.
inline constexpr std::int64_t work_per_thread = 131072;

inline std::int64_t threads_for(std::int64_t work, std::int64_t num_threads) {
    return useful_threads(work, work_per_thread, num_threads);
}

}  // namespace normgraph::kernel::simd
