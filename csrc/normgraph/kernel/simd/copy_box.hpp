#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

/// Copies between memory of any strides and the buffers that micro-kernels can read and write.
namespace normgraph::kernel::simd {

/// An axis of a box of elements; strides in bytes.
struct CopiedAxis {
    std::int64_t length, target_stride, source_stride;
};
using CopiedBox = std::array<CopiedAxis, 3>;

/// Copies the elements of a box, of 2, 4 or 8 bytes each; source and target do not overlap. Memory
/// that lies `bytes_ahead` of the source is asked for meanwhile, unless that is 0: it has the place
/// of the source in the next box.
void copy_box(std::byte* target, const std::byte* source, const CopiedBox& box,
              std::size_t element_size, std::int64_t bytes_ahead);

/// The same, past the cache where the machine can and the target's elements follow each other.
/// `buffer` has room for the box.
void stream_box(std::byte* target, const std::byte* source, const CopiedBox& box,
                std::size_t element_size, std::byte* buffer);

/// Makes what was written past the cache, here or by micro-kernels, visible to other threads.
void finish_streams();

}  // namespace normgraph::kernel::simd
