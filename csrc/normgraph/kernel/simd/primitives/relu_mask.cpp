// Memory traffic: the tensor is read once, the mask read or written once. Pieces of a tensor that
// is not C-contiguous are copied through a block that stays in the L1 cache.

#include <algorithm>

#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/relu_bound.hpp"
#include "normgraph/kernel/relu_mask.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "normgraph/kernel/strided/copy.hpp"
#include "normgraph/kernel/threads/interruption.hpp"
#include "normgraph/kernel/threads/share_range.hpp"
#include "normgraph/kernel/tuning.hpp"

namespace normgraph::kernel::simd {
namespace {

/// The rows of a mask, each of which begins with a byte of its own.
struct Rows {
    std::int64_t count, length, bytes;

    explicit Rows(const ReluMaskLayout& layout)
        : count(layout.along_channels ? layout.outer : layout.outer * layout.channels),
          length(layout.along_channels ? layout.channels : layout.inner),
          bytes(layout.along_channels ? layout.outer_stride : layout.channel_stride) {}
};

/// Calls `function(first, length, byte)` for the blocks of each row, in order: the number of the
/// block's first element, and where its bits begin.
template <typename Function>
void for_each_block(const Rows& rows, std::int64_t begin, std::int64_t end,
                    const Function& function) {
    for (std::int64_t row = begin; row < end; ++row) {
        stop_if_interrupted(row);
        for (std::int64_t position = 0; position < rows.length; position += mask_block) {
            stop_if_interrupted(position);
            function(row * rows.length + position, std::min(mask_block, rows.length - position),
                     row * rows.bytes + position / 8);
        }
    }
}

std::byte* take_block(std::size_t element_size) {
    Scratch& scratch = Scratch::of_this_thread();
    const std::size_t bytes = static_cast<std::size_t>(mask_block) * element_size;
    scratch.reserve(bytes);
    return scratch.take<std::byte>(static_cast<std::int64_t>(bytes));
}

}  // namespace

void run_kernel(const MicroKernelTable& table, const ReluMaskArguments& arguments,
                std::int64_t num_threads) {
    const Rows rows(ReluMaskLayout(arguments.shape, arguments.channel_axis));
    const TensorAxes axes(arguments.shape, arguments.activated.strides);
    if (axes.element_count() == 0) {
        return;
    }
    const std::size_t size = size_of(arguments.type);
    const auto pack = table[arguments.type].primitives.pack_passing;
    const double bound = rounded_bound(arguments.type, arguments.upper_bound);
    share_range(
        rows.count, useful_threads(axes.element_count(), work_per_thread, num_threads),
        [&](std::int64_t begin, std::int64_t end) {
            std::byte* const block = take_block(size);
            TensorCursor cursor(axes, begin * rows.length);
            for_each_block(
                rows, begin, end, [&](std::int64_t first, std::int64_t length, std::int64_t byte) {
                    const std::byte* values = block;
                    if (axes.is_contiguous(size)) {
                        values =
                            arguments.activated.address + first * static_cast<std::int64_t>(size);
                    } else {
                        gather(cursor, arguments.activated.address, size, length, block);
                    }
                    pack(values, length, bound, arguments.mask.address + byte);
                });
        });
}

void run_kernel(const MicroKernelTable& table, const ReluMaskSelectArguments& arguments,
                std::int64_t num_threads) {
    const Rows rows(ReluMaskLayout(arguments.shape, arguments.channel_axis));
    const TensorAxes source_axes(arguments.shape, arguments.delta.strides);
    const TensorAxes target_axes(arguments.shape, arguments.result.strides);
    if (source_axes.element_count() == 0) {
        return;
    }
    const std::size_t size = size_of(arguments.type);
    const auto step = static_cast<std::int64_t>(size);
    const auto select = table[arguments.type].primitives.select;
    const bool reads_copy = !source_axes.is_contiguous(size);
    const bool writes_copy = !target_axes.is_contiguous(size);
    share_range(
        rows.count, useful_threads(source_axes.element_count(), work_per_thread, num_threads),
        [&](std::int64_t begin, std::int64_t end) {
            std::byte* const block = take_block(size);
            TensorCursor source(source_axes, begin * rows.length);
            TensorCursor target(target_axes, begin * rows.length);
            for_each_block(rows, begin, end,
                           [&](std::int64_t first, std::int64_t length, std::int64_t byte) {
                               const std::byte* values = block;
                               if (reads_copy) {
                                   gather(source, arguments.delta.address, size, length, block);
                               } else {
                                   values = arguments.delta.address + first * step;
                               }
                               std::byte* const result =
                                   writes_copy ? block : arguments.result.address + first * step;
                               select(values, arguments.mask.address + byte, length, result);
                               if (writes_copy) {
                                   scatter(target, arguments.result.address, size, length, block);
                               }
                           });
        });
}

}  // namespace normgraph::kernel::simd
