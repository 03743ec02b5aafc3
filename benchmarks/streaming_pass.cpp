#include "streaming_pass.hpp"

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

/// Compiled once per vector width. Names have internal linkage, but for the one table at the end
/// that is called after NORMGRAPH_STREAMING_PASS, so that no wide code leaks into narrow machines.
namespace normgraph::measurement {
namespace {

#if defined(__AVX512F__)
using Vector = __m512i;
Vector load(const std::byte* from) {
    return _mm512_load_si512(from);
}
Vector sum(Vector a, Vector b) {
    return _mm512_add_epi32(a, b);
}
void store(std::byte* to, Vector value) {
    _mm512_store_si512(to, value);
}
void store_non_temporal(std::byte* to, Vector value) {
    _mm512_stream_si512(reinterpret_cast<Vector*>(to), value);
}
#elif defined(__AVX2__)
using Vector = __m256i;
Vector load(const std::byte* from) {
    return _mm256_load_si256(reinterpret_cast<const Vector*>(from));
}
Vector sum(Vector a, Vector b) {
    return _mm256_add_epi32(a, b);
}
void store(std::byte* to, Vector value) {
    _mm256_store_si256(reinterpret_cast<Vector*>(to), value);
}
void store_non_temporal(std::byte* to, Vector value) {
    _mm256_stream_si256(reinterpret_cast<Vector*>(to), value);
}
#elif defined(__SSE2__)
using Vector = __m128i;
Vector load(const std::byte* from) {
    return _mm_load_si128(reinterpret_cast<const Vector*>(from));
}
Vector sum(Vector a, Vector b) {
    return _mm_add_epi32(a, b);
}
void store(std::byte* to, Vector value) {
    _mm_store_si128(reinterpret_cast<Vector*>(to), value);
}
void store_non_temporal(std::byte* to, Vector value) {
    _mm_stream_si128(reinterpret_cast<Vector*>(to), value);
}
#else
using Vector = std::uint64_t;
Vector load(const std::byte* from) {
    Vector value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}
Vector sum(Vector a, Vector b) {
    return a + b;
}
void store(std::byte* to, Vector value) {
    std::memcpy(to, &value, sizeof(value));
}
void store_non_temporal(std::byte* to, Vector value) {
#if defined(__clang__)
    __builtin_nontemporal_store(value, reinterpret_cast<Vector*>(to));
#else
    store(to, value);
#endif
}
#endif

/// Non-temporal stores are weakly ordered: what follows must see them done.
void wait_for_non_temporal_stores() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

constexpr std::size_t cache_line = 64;

template <bool NonTemporal, bool TwoSources>
void stream(const std::byte* first, const std::byte* second, std::byte* result, std::size_t size) {
    for (std::size_t line = 0; line < size; line += cache_line) {
        for (std::size_t at = line; at < line + cache_line; at += sizeof(Vector)) {
            // NOLINTNEXTLINE(misc-const-correctness): not in every instance
            Vector value = load(first + at);
            if constexpr (TwoSources) {
                value = sum(value, load(second + at));
            }
            if constexpr (NonTemporal) {
                store_non_temporal(result + at, value);
            } else {
                store(result + at, value);
            }
        }
    }
    if constexpr (NonTemporal) {
        wait_for_non_temporal_stores();
    }
}

template <bool NonTemporal>
void stream_all(const std::byte* first, const std::byte* second, std::byte* result,
                std::size_t size) {
    if (second == nullptr) {
        stream<NonTemporal, false>(first, second, result, size);
    } else {
        stream<NonTemporal, true>(first, second, result, size);
    }
}

}  // namespace

#define NORMGRAPH_TEXT_OF(name) #name
#define NORMGRAPH_TEXT(name) NORMGRAPH_TEXT_OF(name)

extern const StreamingPass NORMGRAPH_STREAMING_PASS;
const StreamingPass NORMGRAPH_STREAMING_PASS = {NORMGRAPH_TEXT(NORMGRAPH_STREAMING_PASS),
                                                stream_all<false>, stream_all<true>};

}  // namespace normgraph::measurement
