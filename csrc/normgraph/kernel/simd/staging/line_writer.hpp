#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "normgraph/kernel/strided/copy.hpp"
#include "normgraph/kernel/tuning.hpp"

namespace normgraph::kernel::simd {

/// Writes short rows that follow each other in memory by non-temporal stores of whole cache lines:
/// they are computed into a buffer, from which a line that is not complete yet is not written. The
/// buffer stays in the L1 cache.
class LineWriter {
public:
    /// For at most `most_bytes` at a time, and a vector beyond.
    static constexpr std::int64_t buffer_bytes(std::int64_t most_bytes) {
        return most_bytes + 2 * cache_line;
    }

    /// The buffer begins at a cache line.
    explicit LineWriter(std::byte* buffer) : buffer_(buffer) {}

    /// Where to put what belongs at the target, which is what follows the last bytes unless those
    /// are a piece of memory of their own.
    std::byte* room_for(std::byte* target) {
        if (target != target_ + pending_) {
            finish();
            target_ = target;
        }
        return first() + pending_;
    }

    /// So many bytes have been put there.
    void write(std::int64_t bytes) {
        const std::int64_t end = past_line() + pending_ + bytes;
        const std::int64_t rest = end % cache_line;
        const std::int64_t whole = end - rest - past_line();
        if (whole <= 0) {
            pending_ += bytes;
            return;
        }
        stream_run(target_, first(), whole);
        std::memcpy(buffer_, buffer_ + end - rest, cache_line);
        target_ += whole;
        pending_ = rest;
    }

    /// Writes what is left.
    void finish() {
        if (pending_ > 0) {
            std::memcpy(target_, first(), static_cast<std::size_t>(pending_));
            pending_ = 0;
        }
    }

private:
    std::int64_t past_line() const {
        return static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(target_) % cache_line);
    }
    /// Bytes have the place in a line that they have in the target.
    std::byte* first() const { return buffer_ + past_line(); }

    std::byte* buffer_;
    std::byte* target_ = nullptr;  ///< of the first byte that is not written yet
    std::int64_t pending_ = 0;
};

}  // namespace normgraph::kernel::simd
