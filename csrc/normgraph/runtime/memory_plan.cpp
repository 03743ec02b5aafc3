#include "normgraph/runtime/memory_plan.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <numeric>

namespace normgraph::runtime {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t most_bytes = std::numeric_limits<std::int64_t>::max() / 2;

struct Piece {
    std::size_t begin, end;
    std::size_t first_step, last_step;
};

std::size_t rounded(std::size_t bytes) {
    if (bytes > most_bytes) {
        throw std::bad_alloc();
    }
    return (bytes + cache_line - 1) / cache_line * cache_line;
}

/// `placed` ascends by begin.
std::size_t lowest_place(const std::vector<Piece>& placed, const Lifetime& lifetime,
                         std::size_t bytes) {
    std::size_t place = 0;
    for (const Piece& piece : placed) {
        const bool lives_beside =
            piece.first_step <= lifetime.last_step && lifetime.first_step <= piece.last_step;
        if (!lives_beside) {
            continue;
        }
        if (place + bytes <= piece.begin) {
            break;
        }
        place = std::max(place, piece.end);
    }
    return place;
}

}  // namespace

MemoryPlan plan_memory(std::span<const Lifetime> lifetimes) {
    std::vector<std::size_t> largest_first(lifetimes.size());
    std::iota(largest_first.begin(), largest_first.end(), std::size_t{0});
    std::ranges::stable_sort(largest_first, std::ranges::greater{},
                             [&](std::size_t index) { return lifetimes[index].bytes; });
    MemoryPlan plan;
    plan.offsets.resize(lifetimes.size());
    std::vector<Piece> placed;
    for (const std::size_t index : largest_first) {
        const Lifetime& lifetime = lifetimes[index];
        const std::size_t bytes = rounded(lifetime.bytes);
        const std::size_t place = lowest_place(placed, lifetime, bytes);
        const Piece piece{place, rounded(place + bytes), lifetime.first_step, lifetime.last_step};
        placed.insert(std::ranges::upper_bound(placed, piece.begin, {}, &Piece::begin), piece);
        plan.offsets[index] = place;
        plan.bytes = std::max(plan.bytes, piece.end);
    }
    return plan;
}

}  // namespace normgraph::runtime
