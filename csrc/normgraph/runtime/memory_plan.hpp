#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace normgraph::runtime {

/// Memory that is needed from one step to another, both included.
struct Lifetime {
    std::size_t first_step, last_step;
    std::size_t bytes;
};

/// Where pieces of memory lie in one block; each begins at a cache line.
struct MemoryPlan {
    std::vector<std::size_t> offsets;  ///< one per lifetime
    std::size_t bytes = 0;             ///< of the block
};

/// Pieces whose lifetimes have a step in common do not overlap. The largest is placed first, each
/// at the lowest place that is free. Throws std::bad_alloc if no memory could be that large.
///
/// Takes O(n·log² n) where memory that is in use together is adjacent but for a few gaps, as it is
/// for values of a few sizes; O(n²·log n) at worst.
MemoryPlan plan_memory(std::span<const Lifetime> lifetimes);

}  // namespace normgraph::runtime
