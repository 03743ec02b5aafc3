#include "normgraph/kernel/simd/copy_tile.hpp"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__) || defined(_M_X64)
#include <emmintrin.h>
#endif

namespace normgraph::kernel::simd {
namespace {

/// Both planes stay in the first-level cache while a square of this many elements is transposed.
constexpr std::int64_t square = 16;

template <typename Element>
Element load_element(const std::byte* address) {
    Element element;
    std::memcpy(&element, address, sizeof(Element));
    return element;
}

template <typename Element>
void copy_strided(std::byte* target, std::int64_t target_stride, const std::byte* source,
                  std::int64_t source_stride, std::int64_t count) {
    for (std::int64_t index = 0; index < count; ++index) {
        std::memcpy(target + index * target_stride, source + index * source_stride,
                    sizeof(Element));
    }
}

/// To elements that follow each other.
template <typename Element>
void gather(std::byte* target, const std::byte* source, std::int64_t stride, std::int64_t count) {
    if (stride == 0) {
        const auto element = load_element<Element>(source);
        for (std::int64_t index = 0; index < count; ++index) {
            std::memcpy(target + index * static_cast<std::int64_t>(sizeof(Element)), &element,
                        sizeof(Element));
        }
        return;
    }
    copy_strided<Element>(target, sizeof(Element), source, stride, count);
}

#if defined(__x86_64__) || defined(_M_X64)

/// Row i of a square of 4-byte elements becomes its column i.
void transpose_square(std::byte* target, std::int64_t target_stride, const std::byte* source,
                      std::int64_t source_stride) {
    const auto row = [&](std::int64_t index) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + index * source_stride));
    };
    const auto store = [&](std::int64_t index, __m128i values) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(target + index * target_stride), values);
    };
    const __m128i low01 = _mm_unpacklo_epi32(row(0), row(1));
    const __m128i high01 = _mm_unpackhi_epi32(row(0), row(1));
    const __m128i low23 = _mm_unpacklo_epi32(row(2), row(3));
    const __m128i high23 = _mm_unpackhi_epi32(row(2), row(3));
    store(0, _mm_unpacklo_epi64(low01, low23));
    store(1, _mm_unpackhi_epi64(low01, low23));
    store(2, _mm_unpacklo_epi64(high01, high23));
    store(3, _mm_unpackhi_epi64(high01, high23));
}
constexpr std::int64_t vector_square = 4;

#endif

/// Elements that follow each other in one plane along its rows, in the other across them.
template <typename Element>
void transpose(std::byte* target, std::int64_t target_stride, const std::byte* source,
               std::int64_t source_stride, std::int64_t outer, std::int64_t inner) {
    constexpr auto size = static_cast<std::int64_t>(sizeof(Element));
    std::int64_t done = 0;  // of outer, by whole squares
#if defined(__x86_64__) || defined(_M_X64)
    if constexpr (size == 4) {
        const std::int64_t whole = inner / vector_square * vector_square;
        for (; done + vector_square <= outer; done += vector_square) {
            for (std::int64_t j = 0; j < whole; j += vector_square) {
                transpose_square(target + done * size + j * target_stride, target_stride,
                                 source + done * source_stride + j * size, source_stride);
            }
            for (std::int64_t j = whole; j < inner; ++j) {
                copy_strided<Element>(target + done * size + j * target_stride, size,
                                      source + done * source_stride + j * size, source_stride,
                                      vector_square);
            }
        }
    }
#endif
    for (; done < outer; ++done) {
        copy_strided<Element>(target + done * size, target_stride, source + done * source_stride,
                              size, inner);
    }
}

template <typename Element>
void copy_elements(const Plane<std::byte>& target, const Plane<const std::byte>& source,
                   std::int64_t outer, std::int64_t inner) {
    constexpr auto size = static_cast<std::int64_t>(sizeof(Element));
    if (target.inner_stride == size) {
        for (std::int64_t i = 0; i < outer; ++i) {
            gather<Element>(target.address + i * target.outer_stride,
                            source.address + i * source.outer_stride, source.inner_stride, inner);
        }
        return;
    }
    for (std::int64_t i = 0; i < outer; i += square) {
        for (std::int64_t j = 0; j < inner; j += square) {
            std::byte* const to =
                target.address + i * target.outer_stride + j * target.inner_stride;
            const std::byte* const from =
                source.address + i * source.outer_stride + j * source.inner_stride;
            const std::int64_t rows = std::min(square, outer - i);
            const std::int64_t columns = std::min(square, inner - j);
            if (source.inner_stride == size && target.outer_stride == size) {
                transpose<Element>(to, target.inner_stride, from, source.outer_stride, rows,
                                   columns);
                continue;
            }
            for (std::int64_t row = 0; row < rows; ++row) {
                copy_strided<Element>(to + row * target.outer_stride, target.inner_stride,
                                      from + row * source.outer_stride, source.inner_stride,
                                      columns);
            }
        }
    }
}

#if defined(__x86_64__) || defined(_M_X64)

void stream_bytes(std::byte* target, const std::byte* source, std::size_t count) {
    constexpr std::size_t line = 64;
    const std::size_t to_line = -reinterpret_cast<std::uintptr_t>(target) % line;
    const std::size_t head = std::min(to_line, count);
    std::memcpy(target, source, head);
    std::size_t done = head;
    for (; done + line <= count; done += line) {
        for (std::size_t part = 0; part < line; part += 16) {
            const __m128i bytes =
                _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + done + part));
            _mm_stream_si128(reinterpret_cast<__m128i*>(target + done + part), bytes);
        }
    }
    std::memcpy(target + done, source + done, count - done);
}

#else

void stream_bytes(std::byte* target, const std::byte* source, std::size_t count) {
    std::memcpy(target, source, count);
}

#endif

}  // namespace

void copy_plane(const Plane<std::byte>& target, const Plane<const std::byte>& source,
                std::int64_t outer, std::int64_t inner, std::size_t element_size) {
    const auto size = static_cast<std::int64_t>(element_size);
    if (target.inner_stride == size && source.inner_stride == size) {
        for (std::int64_t i = 0; i < outer; ++i) {
            std::memcpy(target.address + i * target.outer_stride,
                        source.address + i * source.outer_stride,
                        static_cast<std::size_t>(inner * size));
        }
        return;
    }
    switch (element_size) {
        case 2:
            return copy_elements<std::uint16_t>(target, source, outer, inner);
        case 4:
            return copy_elements<std::uint32_t>(target, source, outer, inner);
        default:
            return copy_elements<std::uint64_t>(target, source, outer, inner);
    }
}

void stream_plane(const Plane<std::byte>& target, const Plane<const std::byte>& source,
                  std::int64_t outer, std::int64_t inner, std::size_t element_size) {
    const auto size = static_cast<std::int64_t>(element_size);
    if (target.inner_stride != size || source.inner_stride != size) {
        return copy_plane(target, source, outer, inner, element_size);
    }
    const std::int64_t row = inner * size;
    if (target.outer_stride == row && source.outer_stride == row) {
        return stream_bytes(target.address, source.address, static_cast<std::size_t>(outer * row));
    }
    for (std::int64_t i = 0; i < outer; ++i) {
        stream_bytes(target.address + i * target.outer_stride,
                     source.address + i * source.outer_stride, static_cast<std::size_t>(row));
    }
}

void finish_streams() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_sfence();
#endif
}

}  // namespace normgraph::kernel::simd
