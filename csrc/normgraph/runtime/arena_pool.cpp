#include "normgraph/runtime/arena_pool.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "normgraph/runtime/cache_lock.hpp"

namespace normgraph::runtime {
namespace {

constexpr std::align_val_t cache_line{64};

}  // namespace

void ArenaPool::FreeAligned::operator()(std::byte* memory) const noexcept {
    ::operator delete(memory, cache_line);
}

bool ArenaPool::is_there(const Piece& piece) noexcept {
    return piece.memory != nullptr;
}

/// The first that is large enough, else any.
ArenaPool::Piece ArenaPool::take_idle(std::size_t bytes) noexcept {
    const CacheLock lock;
    const auto fits = [&](const Piece& idle) { return is_there(idle) && idle.bytes >= bytes; };
    auto found = std::ranges::find_if(idle_, fits);
    if (found == idle_.end()) {
        found = std::ranges::find_if(idle_, is_there);
    }
    return found == idle_.end() ? Piece{} : std::exchange(*found, {});
}

ArenaPool::Arena ArenaPool::take(std::size_t bytes) {
    Piece piece = take_idle(bytes);
    if (piece.bytes < bytes || piece.memory == nullptr) {
        piece.memory.reset();  // first, so that the peak is not both
        const std::size_t size = std::max<std::size_t>(bytes, 1);
        piece.memory.reset(static_cast<std::byte*>(::operator new(size, cache_line)));
        piece.bytes = size;
    }
    return {*this, std::move(piece)};
}

void ArenaPool::give_back(Piece piece) noexcept {
    const CacheLock lock;
    const auto free = std::ranges::find_if_not(idle_, is_there);
    if (free != idle_.end()) {
        *free = std::move(piece);
    }
}

}  // namespace normgraph::runtime
