#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>

#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::simd {

/// Memory for intermediate values, handed out in order and taken back all at once. Begins at a
/// cache line; so does every piece.
class Scratch {
public:
    static constexpr std::size_t line = 64;

    static constexpr std::size_t rounded(std::size_t bytes) {
        return (bytes + line - 1) / line * line;
    }

    /// Makes room for `bytes` in all (sum of the rounded pieces), and begins anew.
    void reserve(std::size_t bytes) {
        if (bytes > size_) {
            memory_.reset();  // first, so that the peak is not both
            size_ = 0;        // if there is not as much memory, there is none
            memory_ = std::make_unique_for_overwrite<Line[]>((bytes + line - 1) / line);
            size_ = rounded(bytes);
        }
        used_ = 0;
    }

    template <typename Value>
    Value* take(std::int64_t count) {
        auto* const piece =
            reinterpret_cast<Value*>(reinterpret_cast<std::byte*>(memory_.get()) + used_);
        used_ += rounded(static_cast<std::size_t>(count) * sizeof(Value));
        if (used_ > size_) {
            throw std::logic_error("normgraph: more scratch memory taken than reserved");
        }
        return piece;
    }

    /// Gives back, at its end, what has been taken since.
    class Frame {
    public:
        explicit Frame(Scratch& scratch) : scratch_(scratch), used_(scratch.used_) {}
        ~Frame() { scratch_.used_ = used_; }
        Frame(const Frame&) = delete;
        Frame& operator=(const Frame&) = delete;

    private:
        Scratch& scratch_;
        std::size_t used_;
    };

    /// The calling thread's own, kept for its next call. A kernel that is called in the midst of
    /// another (see Interruption) has one of its own.
    static Scratch& of_this_thread() {
        thread_local std::array<Scratch, 2> scratches;
        return scratches[Interruption::is_being_asked() ? 1 : 0];
    }

private:
    struct alignas(line) Line {
        std::byte bytes[line];
    };
    std::unique_ptr<Line[]> memory_;
    std::size_t size_ = 0;
    std::size_t used_ = 0;
};

}  // namespace normgraph::kernel::simd
