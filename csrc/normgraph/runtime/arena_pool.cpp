#include "normgraph/runtime/arena_pool.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace normgraph::runtime {
namespace {

constexpr std::align_val_t cache_line{64};

}  // namespace

void ArenaPool::FreeAligned::operator()(std::byte* memory) const noexcept {
    ::operator delete(memory, cache_line);
}

ArenaPool::Arena ArenaPool::take(std::size_t bytes) {
    Piece piece;
    {
        const std::lock_guard lock(mutex_);
        const auto fitting =
            std::ranges::find_if(idle_, [&](const Piece& idle) { return idle.bytes >= bytes; });
        const auto found = fitting == idle_.end() && !idle_.empty() ? idle_.begin() : fitting;
        if (found != idle_.end()) {
            piece = std::move(*found);
            idle_.erase(found);
        }
    }
    if (piece.bytes < bytes || piece.memory == nullptr) {
        piece.memory.reset();  // first, so that the peak is not both
        const std::size_t size = std::max<std::size_t>(bytes, 1);
        piece.memory.reset(static_cast<std::byte*>(::operator new(size, cache_line)));
        piece.bytes = size;
    }
    return {*this, std::move(piece)};
}

void ArenaPool::give_back(Piece piece) noexcept {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < most_idle) {
        idle_.reserve(most_idle);
        idle_.push_back(std::move(piece));
    }
}

}  // namespace normgraph::runtime
