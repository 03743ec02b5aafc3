// Memory traffic: the tensor is read once, the mask read or written once. Pieces of a tensor that
// is not C-contiguous are copied through a block that stays in the L1 cache.

#include <algorithm>
#include <array>

#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/relu_bound.hpp"
#include "normgraph/kernel/relu_mask.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/micro_kernels/terms_and_formulas.hpp"
#include "normgraph/kernel/simd/phases/run.hpp"
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

/// An op that applies a mask, and reduces nothing.
template <typename Data>
class Selection {
public:
    using Element = Data;
    using Arithmetic = arithmetic_t<Data>;
    static constexpr std::size_t coefficient_count = Unchanged::coefficient_count;

    explicit Selection(const MicroKernels& kernels) : kernels_(kernels) {}

    static int pass_count() { return 0; }
    static Reduction reduction(int /*pass*/) { return {}; }
    static bool applies() { return true; }
    RowsAndColumns<Apply> application(const GroupValues& /*group*/) const {
        return kernels_.select;
    }
    void begin_group(const ChannelRange& /*channels*/, const GroupValues& /*group*/) const {}
    void finish_pass(int /*pass*/, const ChannelRange& /*channels*/,
                     const GroupValues& /*group*/) const {}

private:
    const MicroKernels& kernels_;
};

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

/// Channels alone, as those of one sample: a problem has an axis besides that of the channels.
static void select_from_one_sample(const MicroKernelTable& table,
                                   const ReluMaskSelectArguments& arguments,
                                   std::int64_t num_threads) {
    const std::array<std::int64_t, 2> shape{1, arguments.shape[0]};
    const std::array<std::int64_t, 2> delta{0, arguments.delta.strides[0]};
    const std::array<std::int64_t, 2> result{0, arguments.result.strides[0]};
    run_kernel(table,
               ReluMaskSelectArguments{.shape = shape,
                                       .channel_axis = 1,
                                       .type = arguments.type,
                                       .delta = {arguments.delta.address, delta},
                                       .mask = arguments.mask,
                                       .result = {arguments.result.address, result}},
               num_threads);
}

void run_kernel(const MicroKernelTable& table, const ReluMaskSelectArguments& arguments,
                std::int64_t num_threads) {
    if (arguments.shape.size() == 1) {
        return select_from_one_sample(table, arguments, num_threads);
    }
    const Problem problem{.shape = arguments.shape,
                          .channel_axis = arguments.channel_axis,
                          .data_type = arguments.type,
                          .affine_type = arguments.type,
                          .statistics_type = arguments.type,
                          .epsilon = 0.0};
    const std::array sources{arguments.delta};
    const TensorList tensors{sources, arguments.result};
    Traversals traversals(problem, tensors);
    if (traversals.apply().elements_per_channel() == 0) {
        return;
    }
    traversals.set_apply_sources(std::array<std::size_t, 1>{0});
    // Not written through: it is read.
    traversals.set_mask(const_cast<std::byte*>(arguments.mask.address), false, num_threads);
    with_data_type(arguments.type, [&]<typename Data>() {
        run(Selection<Data>(table[arguments.type]), traversals, num_threads);
    });
}

}  // namespace normgraph::kernel::simd
