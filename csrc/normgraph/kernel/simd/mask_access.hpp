#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/layout.hpp"
#include "normgraph/kernel/relu_mask.hpp"
#include "normgraph/kernel/simd/micro_kernels.hpp"

/// The bits of a ReLU's mask as micro-kernels take them: along the rows they walk.
namespace normgraph::kernel::simd {

/// Elements [first, first + count) of row `row`, of channels [channel, channel + channels). Where
/// the mask is used directly, what it is packed along begins at a multiple of 8.
struct MaskRegion {
    std::int64_t channel, channels;
    std::int64_t row;
    std::int64_t first, count;
};

class MaskAccess {
public:
    MaskAccess(std::byte* address, const Problem& problem, LayoutClass layout_class,
               const SummationOrder& order);

    std::int64_t byte_count() const { return layout_.byte_count(); }
    std::byte* address() const { return address_; }

    /// Whether nobody wants the bits.
    bool is_absent() const { return address_ == nullptr; }
    /// Whether the mask's bytes lie along the rows: else regions are copied.
    bool is_direct() const { return is_direct_; }

    /// The region where it lies.
    MaskTile tile(const MaskRegion& region) const;

    /// Bytes of a region in a buffer: of channels_first rows of one channel each, of channels_last
    /// one row for each `lanes` elements.
    static std::int64_t buffer_bytes(std::int64_t channels, std::int64_t count) {
        return 8 * channels + count * channels / 8 + count + 16;
    }
    /// How a region lies in a buffer.
    MaskTile buffer_tile(const MaskRegion& region, std::byte* buffer) const;

    void copy_to_buffer(const MaskRegion& region, std::byte* buffer) const;
    /// Sets bits, and clears none.
    void copy_from_buffer(const MaskRegion& region, const std::byte* buffer) const;

private:
    /// Calls function(mask byte, its bit, buffer byte, its bit) for each element of the region.
    template <typename Function>
    void for_each_bit(const MaskRegion& region, const Function& function) const;
    /// Calls function(channel bits, first, count, element) for each index of the outer axes: the
    /// region's elements from `element` on are [first, first + count) of the inner axes.
    template <typename Function>
    void for_each_outer(const MaskRegion& region, const Function& function) const;
    /// Whether the mask's bytes lie along channels and the buffer's rows across them.
    bool lies_across() const;

    std::byte* address_;
    ReluMaskLayout layout_;
    LayoutClass layout_class_;
    std::int64_t lanes_;
    std::int64_t row_length_;
    bool is_direct_;
};

}  // namespace normgraph::kernel::simd
