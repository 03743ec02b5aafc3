#include "normgraph/kernel/tuning.hpp"

#include <atomic>

#if defined(__linux__)
#include <unistd.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>

#include <cstddef>
#endif

namespace normgraph::kernel {
namespace {

/// `size` if a processor may have such a cache, else the default.
[[maybe_unused]] std::int64_t plausible(std::int64_t size, std::int64_t smallest,
                                        std::int64_t largest, std::int64_t otherwise) {
    return size >= smallest && size <= largest ? size : otherwise;
}

#if defined(_SC_LEVEL1_DCACHE_SIZE) && defined(_SC_LEVEL2_CACHE_SIZE)

std::int64_t l1_size() {
    return sysconf(_SC_LEVEL1_DCACHE_SIZE);
}
std::int64_t l2_size() {
    return sysconf(_SC_LEVEL2_CACHE_SIZE);
}

#elif defined(__APPLE__)

std::int64_t size_named(const char* name) {
    std::int64_t size = 0;
    std::size_t length = sizeof(size);
    return sysctlbyname(name, &size, &length, nullptr, 0) == 0 ? size : 0;
}
std::int64_t l1_size() {
    return size_named("hw.l1dcachesize");
}
std::int64_t l2_size() {
    return size_named("hw.l2cachesize");
}

#else

std::int64_t l1_size() {
    return 0;
}
std::int64_t l2_size() {
    return 0;
}

#endif

CacheSizes machine_cache_sizes() {
    constexpr std::int64_t kibibyte = 1024;
    const CacheSizes otherwise;
    return {plausible(l1_size(), 16 * kibibyte, 128 * kibibyte, otherwise.l1),
            plausible(l2_size(), 128 * kibibyte, 4096 * kibibyte, otherwise.l2)};
}

// No function-local static: the child of a fork during its initialization would wait for ever.
constinit std::atomic<std::int64_t> known_l1{0}, known_l2{0};

}  // namespace

CacheTuning cache_tuning() {
    CacheSizes sizes{known_l1.load(std::memory_order_relaxed),
                     known_l2.load(std::memory_order_relaxed)};
    if (sizes.l1 == 0 || sizes.l2 == 0) {
        sizes = machine_cache_sizes();
        known_l1.store(sizes.l1, std::memory_order_relaxed);
        known_l2.store(sizes.l2, std::memory_order_relaxed);
    }
    return CacheTuning(sizes);
}

}  // namespace normgraph::kernel
