#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <utility>

namespace normgraph::runtime {

/// Memory for the intermediate values of calls that may run at once: one piece per call, kept for
/// the next. Safe for concurrent use.
class ArenaPool {
public:
    class Arena;

    /// A piece of at least this size, which goes back to the pool with the arena's end. Throws
    /// std::bad_alloc.
    Arena take(std::size_t bytes);

private:
    struct FreeAligned {
        void operator()(std::byte* memory) const noexcept;
    };
    struct Piece {
        std::unique_ptr<std::byte, FreeAligned> memory;
        std::size_t bytes = 0;
    };

    static bool is_there(const Piece& piece) noexcept;
    Piece take_idle(std::size_t bytes) noexcept;
    void give_back(Piece piece) noexcept;

    /// More than so many calls at once allocate.
    static constexpr std::size_t most_idle = 4;

    std::array<Piece, most_idle> idle_;  // under a CacheLock; null where there is none

public:
    class Arena {
    public:
        Arena(ArenaPool& pool, Piece piece) : pool_(pool), piece_(std::move(piece)) {}
        ~Arena() { pool_.give_back(std::move(piece_)); }
        Arena(const Arena&) = delete;
        Arena& operator=(const Arena&) = delete;

        /// Not null; at a cache line.
        std::byte* address() const { return piece_.memory.get(); }

    private:
        ArenaPool& pool_;
        Piece piece_;
    };
};

}  // namespace normgraph::runtime
