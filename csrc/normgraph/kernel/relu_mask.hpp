#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "normgraph/indices/counts.hpp"
#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/strided/extents.hpp"

/// How the bits of a ReluMask lie in memory, whatever the strides of the tensors.
namespace normgraph::kernel {

/// A byte, counted from the mask's address, and a bit of it, 0 being the least significant one.
struct ReluMaskBit {
    std::int64_t byte;
    int bit;
};

/// The mask of a tensor seen as [outer, C, inner] is an array of bytes without gaps. If the channel
/// axis is the last one it has the shape [outer, ceil(C/8)], else [outer, C, ceil(inner/8)]: bits
/// are packed along the last axis of [outer, C] or [outer, C, inner], eight to a byte, the first in
/// the least significant bit. Bits beyond the last element are 0.
struct ReluMaskLayout : Extents {
    bool along_channels;          ///< whether the channel axis is the last one
    std::int64_t channel_stride;  ///< in bytes; 0 where eight channels share a byte
    std::int64_t outer_stride;    ///< in bytes

    explicit ReluMaskLayout(const Problem& problem)
        : ReluMaskLayout(problem.shape, problem.channel_axis) {}

    /// 0 <= channel_axis < rank.
    ReluMaskLayout(std::span<const std::int64_t> shape, std::int64_t channel_axis)
        : Extents(extents_of(shape, channel_axis)),
          along_channels(static_cast<std::size_t>(channel_axis) + 1 == shape.size()),
          channel_stride(along_channels ? 0 : bytes_for(inner)),
          outer_stride(along_channels ? bytes_for(channels) : channels * channel_stride) {}

    std::int64_t byte_count() const { return outer * outer_stride; }

    /// Threads share the channels in multiples of this, so that each byte has one writer.
    std::int64_t channels_per_byte() const { return along_channels ? bits_per_byte : 1; }

    ReluMaskBit bit_of(std::int64_t outer_index, std::int64_t channel,
                       std::int64_t inner_index) const {
        const std::int64_t position = along_channels ? channel : inner_index;
        return {outer_index * outer_stride + channel * channel_stride + position / bits_per_byte,
                static_cast<int>(position % bits_per_byte)};
    }
};

}  // namespace normgraph::kernel
