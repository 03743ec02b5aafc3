#include <algorithm>
#include <array>
#include <vector>

#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/primitive_sum.hpp"
#include "normgraph/kernel/reference/share.hpp"
#include "normgraph/kernel/reference/summation.hpp"
#include "normgraph/kernel/strided/cursor.hpp"
#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::reference {
namespace {

/// Lengths and strides of some axes of a tensor.
struct SomeAxes {
    std::vector<std::int64_t> lengths, strides;

    void append(std::int64_t length, std::int64_t stride) {
        lengths.push_back(length);
        strides.push_back(stride);
    }
};

/// Sums in the order of PrimitiveSum.
double sum_of(ElementType type, const std::byte* address, const TensorAxes& axes) {
    const std::int64_t count = axes.element_count();
    TensorCursor cursor(axes);
    NodeTree<double> tree;
    for (std::int64_t begin = 0; begin < count; begin += PrimitiveSum::block_length) {
        const std::int64_t length = std::min(count - begin, PrimitiveSum::block_length);
        stop_if_interrupted();
        std::array<double, PrimitiveSum::lanes> lanes{};
        for (std::int64_t element = 0; element < length; ++element) {
            lanes[static_cast<std::size_t>(element % PrimitiveSum::lanes)] +=
                load_as_double(type, address + cursor.offset());
            cursor.advance();
        }
        tree.append(folded<double>(lanes));
    }
    return tree.total();
}

}  // namespace

void run_kernel(const SumArguments& arguments, std::int64_t num_threads) {
    SomeAxes kept, results, summed;
    for (std::size_t axis = 0; axis < arguments.shape.size(); ++axis) {
        const bool is_kept =
            std::ranges::find(arguments.kept_axes, static_cast<std::int64_t>(axis)) !=
            arguments.kept_axes.end();
        (is_kept ? kept : summed).append(arguments.shape[axis], arguments.value.strides[axis]);
    }
    const TensorAxes kept_axes(kept.lengths, kept.strides);
    const TensorAxes result_axes(kept.lengths, arguments.result.strides);
    const TensorAxes summed_axes(summed.lengths, summed.strides);
    const std::int64_t count = summed_axes.element_count();
    share_elements(
        kept_axes.element_count(), product(arguments.shape), num_threads,
        [&](std::int64_t begin, std::int64_t end) {
            TensorCursor source(kept_axes, begin);
            TensorCursor target(result_axes, begin);
            for (std::int64_t index = begin; index < end; ++index) {
                stop_if_interrupted(index);
                const double total =
                    sum_of(arguments.type, arguments.value.address + source.offset(), summed_axes);
                store_rounded_once(arguments.type, arguments.result.address + target.offset(),
                                   arguments.is_mean ? total / static_cast<double>(count) : total);
                source.advance();
                target.advance();
            }
        });
}

}  // namespace normgraph::kernel::reference
