#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

/// Bits of a tensor's mask in the order of other axes.
namespace normgraph::kernel::simd {

/// An axis of a box of bits; strides in bits.
struct BitAxis {
    std::int64_t length, source_stride, target_stride;
};

/// Sets the bits of a box in `target`, which are 0 before, where they are set in `source`. The axis
/// with the largest target stride is shared by the threads if that is whole bytes; inside of it the
/// other axes have no bits of its next index.
void permute_bits(std::span<const std::byte> source, std::span<std::byte> target,
                  std::span<const BitAxis> axes, std::int64_t num_threads);

}  // namespace normgraph::kernel::simd
