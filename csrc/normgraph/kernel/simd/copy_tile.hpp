#pragma once

#include <cstddef>
#include <cstdint>

/// Copies between memory of any strides and the buffers that micro-kernels can read and write.
namespace normgraph::kernel::simd {

/// A plane of elements: `outer` steps of outer_stride, `inner` steps of inner_stride, in bytes.
template <typename Byte>
struct Plane {
    Byte* address;
    std::int64_t outer_stride, inner_stride;
};

/// Copies outer × inner elements of 2, 4 or 8 bytes; the planes do not overlap.
void copy_plane(const Plane<std::byte>& target, const Plane<const std::byte>& source,
                std::int64_t outer, std::int64_t inner, std::size_t element_size);

/// The same, past the cache where the machine can and the elements follow each other.
void stream_plane(const Plane<std::byte>& target, const Plane<const std::byte>& source,
                  std::int64_t outer, std::int64_t inner, std::size_t element_size);

/// Makes what was written past the cache, here or by micro-kernels, visible to other threads.
void finish_streams();

}  // namespace normgraph::kernel::simd
