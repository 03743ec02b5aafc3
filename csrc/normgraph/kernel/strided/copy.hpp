#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "normgraph/kernel/strided/cursor.hpp"

/// Copies between memory in any strides and memory that micro-kernels can read and write.
namespace normgraph::kernel {

/// Copies the next `count` elements, of 1, 2, 4 or 8 bytes each, side by side into `target`.
void gather(TensorCursor& cursor, const std::byte* tensor, std::size_t size, std::int64_t count,
            std::byte* target);

/// Copies `count` elements that lie side by side to the cursor's next places.
void scatter(TensorCursor& cursor, std::byte* tensor, std::size_t size, std::int64_t count,
             const std::byte* source);

/// An axis of a box of elements; strides in bytes.
struct CopiedAxis {
    std::int64_t length, target_stride, source_stride;
};
using CopiedBox = std::array<CopiedAxis, 3>;

/// Copies the elements of a box, of 2, 4 or 8 bytes each; source and target do not overlap. Memory
/// that lies `bytes_ahead` of the source is prefetched meanwhile, unless that is 0: it has the
/// place of the source in the next box.
void copy_box(std::byte* target, const std::byte* source, const CopiedBox& box,
              std::size_t element_size, std::int64_t bytes_ahead);

/// Copies the elements of a box of any rank, of 2, 4 or 8 bytes each; source and target do not
/// overlap. It goes through the source as its memory lies, and a few lines of the target at a time:
/// one of the two is expected in a cache.
void copy_axes(std::byte* target, const std::byte* source, std::span<const CopiedAxis> axes,
               std::size_t element_size);

/// As copy_box, with non-temporal stores where the machine has them and the target's elements
/// follow each other. `buffer` has room for the box.
void stream_box(std::byte* target, const std::byte* source, const CopiedBox& box,
                std::size_t element_size, std::byte* buffer);

/// Copies bytes that lie side by side: whole cache lines of the target by non-temporal stores where
/// the machine has them.
void stream_run(std::byte* target, const std::byte* source, std::int64_t bytes);

/// Makes what non-temporal stores have written, here or in micro-kernels, visible to other threads.
void finish_streams();

}  // namespace normgraph::kernel
