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

template <std::size_t size>
void copy_strided(const Plane<std::byte>& target, const Plane<const std::byte>& source,
                  std::int64_t outer, std::int64_t inner) {
    for (std::int64_t i = 0; i < outer; ++i) {
        std::byte* to = target.address + i * target.outer_stride;
        const std::byte* from = source.address + i * source.outer_stride;
        for (std::int64_t j = 0; j < inner; ++j) {
            std::memcpy(to, from, size);
            to += target.inner_stride;
            from += source.inner_stride;
        }
    }
}

template <std::size_t size>
void copy_squares(const Plane<std::byte>& target, const Plane<const std::byte>& source,
                  std::int64_t outer, std::int64_t inner) {
    for (std::int64_t i = 0; i < outer; i += square) {
        for (std::int64_t j = 0; j < inner; j += square) {
            copy_strided<size>({target.address + i * target.outer_stride + j * target.inner_stride,
                                target.outer_stride, target.inner_stride},
                               {source.address + i * source.outer_stride + j * source.inner_stride,
                                source.outer_stride, source.inner_stride},
                               std::min(square, outer - i), std::min(square, inner - j));
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
            return copy_squares<2>(target, source, outer, inner);
        case 4:
            return copy_squares<4>(target, source, outer, inner);
        default:
            return copy_squares<8>(target, source, outer, inner);
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
