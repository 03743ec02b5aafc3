#include <algorithm>

#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/reference/share.hpp"
#include "normgraph/kernel/relu_bound.hpp"
#include "normgraph/kernel/relu_mask.hpp"
#include "normgraph/kernel/strided/cursor.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::reference {
namespace {

/// Calls `function(bit)` for the elements of outer indices begin … end − 1, in logical order.
template <typename Function>
void for_each_bit(const ReluMaskLayout& layout, std::int64_t begin, std::int64_t end,
                  const Function& function) {
    for (std::int64_t outer = begin; outer < end; ++outer) {
        for (std::int64_t channel = 0; channel < layout.channels; ++channel) {
            for (std::int64_t inner = 0; inner < layout.inner; ++inner) {
                stop_if_interrupted(inner);
                function(layout.bit_of(outer, channel, inner));
            }
        }
    }
}

}  // namespace

void run_kernel(const ReluMaskArguments& arguments, std::int64_t num_threads) {
    const ReluMaskLayout layout(arguments.shape, arguments.channel_axis);
    const TensorAxes axes(arguments.shape, arguments.activated.strides);
    const std::int64_t inner = layout.channels * layout.inner;
    const double bound = rounded_bound(arguments.type, arguments.upper_bound);
    share_elements(
        layout.outer, axes.element_count(), num_threads, [&](std::int64_t begin, std::int64_t end) {
            std::fill(arguments.mask.address + begin * layout.outer_stride,
                      arguments.mask.address + end * layout.outer_stride, std::byte{0});
            TensorCursor cursor(axes, begin * inner);
            for_each_bit(layout, begin, end, [&](const ReluMaskBit& bit) {
                const double value =
                    load_as_double(arguments.type, arguments.activated.address + cursor.offset());
                const bool passes = value != 0 && !(value >= bound);
                arguments.mask.address[bit.byte] |=
                    static_cast<std::byte>((passes ? 1U : 0U) << bit.bit);
                cursor.advance();
            });
        });
}

void run_kernel(const ReluMaskSelectArguments& arguments, std::int64_t num_threads) {
    const ReluMaskLayout layout(arguments.shape, arguments.channel_axis);
    const TensorAxes source_axes(arguments.shape, arguments.delta.strides);
    const TensorAxes target_axes(arguments.shape, arguments.result.strides);
    const std::int64_t inner = layout.channels * layout.inner;
    const std::size_t size = size_of(arguments.type);
    share_elements(layout.outer, source_axes.element_count(), num_threads,
                   [&](std::int64_t begin, std::int64_t end) {
                       TensorCursor source(source_axes, begin * inner);
                       TensorCursor target(target_axes, begin * inner);
                       for_each_bit(layout, begin, end, [&](const ReluMaskBit& bit) {
                           const auto byte =
                               static_cast<unsigned int>(arguments.mask.address[bit.byte]);
                           std::byte* const to = arguments.result.address + target.offset();
                           if ((byte >> bit.bit & 1U) != 0) {
                               std::memmove(to, arguments.delta.address + source.offset(), size);
                           } else {
                               std::memset(to, 0, size);
                           }
                           source.advance();
                           target.advance();
                       });
                   });
}

}  // namespace normgraph::kernel::reference
