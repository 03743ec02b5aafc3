#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

namespace normgraph::runtime {

/// Large blocks of memory that are used again: to have new ones from the system, which sets them to
/// zero page by page, takes as long as a kernel that fills them.
///
/// Blocks are whole huge pages (2 MiB). A free block may be divided, and free blocks that lie side
/// by side may be taken as one, so that sizes which alternate share memory. In use and free
/// together never exceed what was in use at the peak, nor the limit; what has been free for
/// `longest_free` goes back to the system when the pool is next asked for something.
///
/// Safe for concurrent use. Blocks may end in any thread, and may outlive everything but the pool.
class MemoryPool {
public:
    /// Since some moment, the same for all calls.
    using Time = std::chrono::nanoseconds;

    /// Ends a block.
    struct GiveBack {
        MemoryPool* pool = nullptr;
        std::size_t size = 0;
        void operator()(std::byte* address) const noexcept { pool->give_back(address, size); }
    };
    /// Begins at a huge page; its bytes are not set. Null where the pool has none to give.
    using Block = std::unique_ptr<std::byte, GiveBack>;

    /// In bytes.
    struct Usage {
        std::size_t in_use = 0;
        std::size_t free = 0;
        std::size_t peak_in_use = 0;
    };

    static constexpr std::size_t unlimited = std::numeric_limits<std::ptrdiff_t>::max();
    static constexpr Time longest_free = std::chrono::seconds(5);

    /// Time since the system started, to some milliseconds, which it tells faster than exactly.
    static Time coarse_time() noexcept;

    explicit MemoryPool(std::size_t limit, Time (*now)() noexcept = &coarse_time)
        : limit_(limit), now_(now) {}
    MemoryPool(const MemoryPool&) = delete;
    MemoryPool& operator=(const MemoryPool&) = delete;
    /// No block may be in use.
    ~MemoryPool() { drop_free(); }

    /// At least `size` bytes, which is not 0. Null if there is not so much memory, or the limit
    /// does not allow it: ordinary memory is the caller's way out. Throws std::bad_alloc where
    /// there is no memory even for the pool's own lists.
    Block take(std::size_t size);

    /// Gives back to the system what is free.
    void release();

    /// Gives back what has been free for `longest_free`. As cheap as can be where nothing has.
    void release_expired() {
        if (next_expiry_.load(std::memory_order_relaxed) != never) {
            release_if_expired();
        }
    }

    /// Gives back what is free, without a lock: for the child of a fork, which has one thread, and
    /// in which to write to its parent's free blocks would copy them. (The CacheLock has seen to it
    /// that no other thread was changing the pool.)
    void drop_free() noexcept;

    Usage usage() const;
    std::size_t limit() const { return limit_; }

private:
    struct FreeBlock {
        std::byte* address;
        std::size_t size;
        Time since;
    };
    /// Free blocks side by side: [first, last) of free_.
    struct Run {
        std::size_t first, last, size;
    };
    class Surplus;

    void give_back(std::byte* address, std::size_t size) noexcept;
    std::optional<Run> best_run(std::size_t size) const;
    std::byte* take_run(const Run& run, std::size_t size);
    std::byte* take_new(std::size_t size, std::size_t used, Surplus& surplus);
    void remove_oldest(std::size_t size, Surplus& surplus);
    void remove_expired(Surplus& surplus);
    void release_if_expired();

    static constexpr Time never = Time::max();

    const std::size_t limit_;
    Time (*const now_)() noexcept;

    // Under a CacheLock.
    std::vector<FreeBlock> free_;  ///< by address, with room for those in use
    std::size_t blocks_in_use_ = 0;
    Usage usage_;

    /// No free block expires earlier. Written under a CacheLock.
    std::atomic<Time> next_expiry_{never};
};

/// The pool of this process, made at the first call and never destroyed. Its limit is the
/// environment variable NORMGRAPH_POOL_BYTES, if that is set and not empty; throws
/// std::invalid_argument, which names it, if that is no integer of at least 0. Elsewhere than on
/// Linux it gives nothing. The child of a fork begins without the free blocks of its parent.
MemoryPool& process_memory_pool();

/// Gives back what has been free for long in the pool of this process, if there is one: every call
/// of a kernel from Python, and every run of an executable, looks for it.
void release_expired_memory();

}  // namespace normgraph::runtime
