#include "normgraph/runtime/memory_pool.hpp"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <utility>

#include "normgraph/kernel/environment.hpp"
#include "normgraph/runtime/cache_lock.hpp"
#include "normgraph/runtime/huge_pages.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define NORMGRAPH_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NORMGRAPH_HAS_ASAN 1
#endif
#endif
#if defined(NORMGRAPH_HAS_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace normgraph::runtime {
namespace {

#if defined(NORMGRAPH_HAS_ASAN)

/// Under AddressSanitizer nobody may touch free blocks, nor what lies behind the bytes that were
/// asked for.
void poison(const std::byte* address, std::size_t size) noexcept {
    ASAN_POISON_MEMORY_REGION(address, size);
}
void unpoison(const std::byte* address, std::size_t size) noexcept {
    ASAN_UNPOISON_MEMORY_REGION(address, size);
}

#else

void poison(const std::byte* /*address*/, std::size_t /*size*/) noexcept {}
void unpoison(const std::byte* /*address*/, std::size_t /*size*/) noexcept {}

#endif

void unpoison_and_unmap(std::byte* address, std::size_t size) noexcept {
    unpoison(address, size);  // the next mapping may have these addresses
    unmap_huge_pages(address, size);
}

}  // namespace

/// What goes back to the system when this object ends. To be declared before the CacheLock, so that
/// it ends after it: unmapping takes long.
class MemoryPool::Surplus {
public:
    Surplus() = default;
    Surplus(const Surplus&) = delete;
    Surplus& operator=(const Surplus&) = delete;
    ~Surplus() { unmap(); }

    void unmap() noexcept {
        for (const auto& [address, size] : blocks_) {
            unpoison_and_unmap(address, size);
        }
        blocks_.clear();
    }

    void reserve(std::size_t more) { blocks_.reserve(blocks_.size() + more); }
    void add(std::byte* address, std::size_t size) { blocks_.emplace_back(address, size); }

private:
    std::vector<std::pair<std::byte*, std::size_t>> blocks_;
};

MemoryPool::Time MemoryPool::coarse_time() noexcept {
#if defined(CLOCK_MONOTONIC_COARSE)
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
#else
    return std::chrono::steady_clock::now().time_since_epoch();
#endif
}

MemoryPool::Block MemoryPool::take(std::size_t size) {
    if (size > limit_) {
        return {};
    }
    const std::size_t whole = whole_huge_pages(size);
    Surplus surplus;
    const CacheLock lock;
    if (whole > limit_ - usage_.in_use) {
        return {};
    }
    remove_expired(surplus);
    // Each block in use, and this one, may come back as one more free block, when no memory for the
    // list can be asked for.
    const std::size_t most_free = free_.size() + blocks_in_use_ + 1;
    if (most_free > free_.capacity()) {
        free_.reserve(2 * most_free);
    }
    const std::optional<Run> run = best_run(whole);
    std::byte* const address = run ? take_run(*run, whole) : take_new(whole, size, surplus);
    if (address == nullptr) {
        return {};
    }
    ++blocks_in_use_;
    usage_.in_use += whole;
    usage_.peak_in_use = std::max(usage_.peak_in_use, usage_.in_use);
    unpoison(address, size);
    poison(address + size, whole - size);
    return {address, GiveBack{this, whole}};
}

/// The least that suffices, so that large blocks stay whole; of equals what was in use last, which
/// may still be in a cache, so that what is never needed expires.
std::optional<MemoryPool::Run> MemoryPool::best_run(std::size_t size) const {
    std::optional<Run> best;
    Run run{0, 0, 0};
    for (const FreeBlock& block : free_) {
        if (run.last > 0 &&
            free_[run.last - 1].address + free_[run.last - 1].size != block.address) {
            run = {run.last, run.last, 0};
        }
        ++run.last;
        run.size += block.size;
        while (run.size - free_[run.first].size >= size) {
            run.size -= free_[run.first++].size;
        }
        if (run.size >= size &&
            (!best || run.size < best->size ||
             (run.size == best->size && block.since > free_[best->last - 1].since))) {
            best = run;
        }
    }
    return best;
}

/// What is left of the run's last block (it is needed, so there is no more left) stays free.
std::byte* MemoryPool::take_run(const Run& run, std::size_t size) {
    std::byte* const address = free_[run.first].address;
    FreeBlock& last = free_[run.last - 1];
    const std::size_t left = run.size - size;
    last.address += last.size - left;
    last.size = left;
    const auto begin = free_.begin();
    free_.erase(begin + static_cast<std::ptrdiff_t>(run.first),
                begin + static_cast<std::ptrdiff_t>(left > 0 ? run.last - 1 : run.last));
    usage_.free -= size;
    return address;
}

/// Null if the system has no more. `used` is how much of it will be touched.
std::byte* MemoryPool::take_new(std::size_t size, std::size_t used, Surplus& surplus) {
    const std::size_t in_use = usage_.in_use + size;
    const std::size_t most = std::min(std::max(usage_.peak_in_use, in_use), limit_);
    if (in_use + usage_.free > most) {
        remove_oldest(in_use + usage_.free - most, surplus);
    }
    if (std::byte* const address = map_huge_pages(used)) {
        return address;
    }
    // Free blocks that are too small, or too far apart, may be all that is missing.
    surplus.unmap();
    drop_free();
    return map_huge_pages(used);
}

/// In parts, if that is enough.
void MemoryPool::remove_oldest(std::size_t size, Surplus& surplus) {
    surplus.reserve(free_.size());
    usage_.free -= size;
    while (size > 0) {
        const auto oldest = std::ranges::min_element(free_, {}, &FreeBlock::since);
        const std::size_t part = std::min(size, oldest->size);
        oldest->size -= part;
        surplus.add(oldest->address + oldest->size, part);
        if (oldest->size == 0) {
            free_.erase(oldest);
        }
        size -= part;
    }
}

void MemoryPool::remove_expired(Surplus& surplus) {
    if (next_expiry_.load() == never) {
        return;
    }
    const Time now = now_();
    if (now < next_expiry_.load()) {
        return;
    }
    surplus.reserve(free_.size());
    Time next = never;
    std::erase_if(free_, [&](const FreeBlock& block) {
        const Time expiry = block.since + longest_free;
        if (now < expiry) {
            next = std::min(next, expiry);
            return false;
        }
        surplus.add(block.address, block.size);
        usage_.free -= block.size;
        return true;
    });
    next_expiry_ = next;
}

void MemoryPool::release_if_expired() {
    if (now_() < next_expiry_.load()) {
        return;
    }
    Surplus surplus;
    const CacheLock lock;
    remove_expired(surplus);
}

void MemoryPool::release() {
    Surplus surplus;
    const CacheLock lock;
    remove_oldest(usage_.free, surplus);
}

void MemoryPool::drop_free() noexcept {
    for (const FreeBlock& block : free_) {
        unpoison_and_unmap(block.address, block.size);
    }
    free_.clear();
    usage_.free = 0;
}

void MemoryPool::give_back(std::byte* address, std::size_t size) noexcept {
    poison(address, size);
    const CacheLock lock;
    const Time now = now_();
    // There is room for it since it was taken.
    free_.insert(std::ranges::lower_bound(free_, address, {}, &FreeBlock::address),
                 {address, size, now});
    --blocks_in_use_;
    usage_.in_use -= size;
    usage_.free += size;
    if (next_expiry_.load() == never) {
        next_expiry_ = now + longest_free;
    }
}

MemoryPool::Usage MemoryPool::usage() const {
    const CacheLock lock;
    return usage_;
}

namespace {

// Never deleted: arrays may end while the process does. No function-local static: a fork during its
// initialization would leave the child waiting for ever for a thread that it does not have.
constinit std::atomic<MemoryPool*> current_pool{nullptr};

std::size_t limit_from_environment() {
    const std::optional<std::int64_t> bytes =
        kernel::integer_from_environment("NORMGRAPH_POOL_BYTES", 0, "a number of bytes, 0 or more");
    if (!can_map_huge_pages) {
        return 0;
    }
    return bytes ? static_cast<std::size_t>(*bytes) : MemoryPool::unlimited;
}

#if defined(__unix__) || defined(__APPLE__)

/// When the library is loaded, so that no fork comes before it.
[[maybe_unused]] const int registration_of_pool = pthread_atfork(nullptr, nullptr, [] {
    if (MemoryPool* const pool = current_pool.load()) {
        pool->drop_free();
    }
});

#endif

}  // namespace

MemoryPool& process_memory_pool() {
    MemoryPool* pool = current_pool.load(std::memory_order_acquire);
    if (pool == nullptr) {
        auto made = std::make_unique<MemoryPool>(limit_from_environment());
        if (current_pool.compare_exchange_strong(pool, made.get(), std::memory_order_acq_rel)) {
            pool = made.release();
        }
    }
    return *pool;
}

void release_expired_memory() {
    if (MemoryPool* const pool = current_pool.load(std::memory_order_acquire)) {
        pool->release_expired();
    }
}

}  // namespace normgraph::runtime
