// A shared library that a program opens, uses and closes, as plugins are.
#include <atomic>
#include <cstdint>

#include "normgraph/kernel/threads/parallel_for.hpp"

#if defined(__GNUC__)
#define NORMGRAPH_EXPORT __attribute__((visibility("default")))
#else
#define NORMGRAPH_EXPORT __declspec(dllexport)
#endif

/// 0 + 1 + … + (count − 1), added up on three threads.
extern "C" NORMGRAPH_EXPORT std::int64_t sum_on_threads(std::int64_t count) {
    std::atomic<std::int64_t> sum{0};
    normgraph::kernel::parallel_for(count, 3, [&](std::int64_t task) { sum += task; });
    return sum;
}
