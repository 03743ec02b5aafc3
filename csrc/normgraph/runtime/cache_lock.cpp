#include "normgraph/runtime/cache_lock.hpp"

#include <mutex>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace normgraph::runtime {
namespace {

constinit std::mutex mutex;

#if defined(__unix__) || defined(__APPLE__)

/// When the library is loaded, so that no fork comes before it.
[[maybe_unused]] const int registration_of_cache_lock =
    pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); }, [] { mutex.unlock(); });

#endif

}  // namespace

CacheLock::CacheLock() {
    mutex.lock();
}

CacheLock::~CacheLock() {
    mutex.unlock();
}

}  // namespace normgraph::runtime
