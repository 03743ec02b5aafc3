#include "tensor_sets.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace normgraph::measurement {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

constexpr std::size_t round_up(std::size_t size, std::size_t unit) {
    return (size + unit - 1) / unit * unit;
}

/// Tensors whose addresses agree in the low 12 bits hold each other up (a load waits for an earlier
/// store that only looks like its own), which real tensors rarely do. So they start at different
/// places of a page.
constexpr std::size_t page = 4096;
constexpr std::size_t skew = 1024 + cache_line;

std::size_t distance_between_tensors(std::size_t padded_bytes) {
    return round_up(padded_bytes, page) + skew;
}

/// Large arrays get huge pages, as numpy's do.
std::byte* allocate(std::size_t bytes) {
    void* const memory = ::operator new(round_up(bytes, huge_page), std::align_val_t{huge_page});
#if defined(__linux__)
    madvise(memory, round_up(bytes, huge_page), MADV_HUGEPAGE);
#endif
    return static_cast<std::byte*>(memory);
}

void fill(std::byte* memory, std::size_t size, const std::vector<std::byte>& pattern) {
    for (std::size_t at = 0; at < size; at += pattern.size()) {
        std::memcpy(memory + at, pattern.data(), std::min(pattern.size(), size - at));
    }
}

}  // namespace

void TensorSet::Free::operator()(std::byte* memory) const {
    ::operator delete(memory, std::align_val_t{huge_page});
}

TensorSet::TensorSet(std::size_t tensor_count, std::size_t bytes,
                     const std::vector<std::byte>& pattern)
    : padded_bytes_(round_up(bytes, cache_line)),
      distance_(distance_between_tensors(padded_bytes_)),
      memory_(allocate(tensor_count * distance_)) {
    fill(memory_.get(), tensor_count * distance_, pattern);
}

std::size_t largest_cache_bytes() {
    std::size_t largest = 0;
    for (const benchmark::CPUInfo::CacheInfo& cache : benchmark::CPUInfo::Get().caches) {
        largest = std::max(largest, static_cast<std::size_t>(cache.size));
    }
    return largest != 0 ? largest : std::size_t{32} << 20;
}

std::vector<TensorSet> make_tensor_sets(bool cold, std::size_t tensor_count, std::size_t bytes,
                                        const std::vector<std::byte>& pattern) {
    // Between two turns of a set at least twice the cache is streamed through it.
    const std::size_t others = 2 * largest_cache_bytes() / (tensor_count * bytes) + 1;
    const std::size_t set_count = cold ? others + 1 : 1;
    std::vector<TensorSet> sets;
    for (std::size_t index = 0; index < set_count; ++index) {
        sets.emplace_back(tensor_count, bytes, pattern);
    }
    return sets;
}

}  // namespace normgraph::measurement
