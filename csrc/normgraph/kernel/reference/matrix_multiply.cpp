#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/reference/share.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::reference {

void run_kernel(const MatrixMultiplyArguments& arguments, std::int64_t num_threads) {
    const std::int64_t rows = arguments.rows, columns = arguments.columns, depth = arguments.depth;
    const ElementType type = arguments.type;
    const ConstTensor left = arguments.left, right = arguments.right;
    const Tensor result = arguments.result;
    const auto element = [&](std::int64_t row, std::int64_t column) {
        double total = 0;
        for (std::int64_t step = 0; step < depth; ++step) {
            stop_if_interrupted(step);
            const double left_value =
                load_as_double(type, left.address + row * left.strides[0] + step * left.strides[1]);
            const double right_value = load_as_double(
                type, right.address + step * right.strides[0] + column * right.strides[1]);
            total += left_value * right_value;
        }
        return total;
    };
    share_elements(
        rows, rows * columns * depth, num_threads, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t row = begin; row < end; ++row) {
                for (std::int64_t column = 0; column < columns; ++column) {
                    store_rounded_once(
                        type, result.address + row * result.strides[0] + column * result.strides[1],
                        element(row, column));
                }
            }
        });
}

}  // namespace normgraph::kernel::reference
