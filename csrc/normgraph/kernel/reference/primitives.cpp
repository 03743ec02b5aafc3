#include "normgraph/kernel/reference/primitives.hpp"

namespace normgraph::kernel::reference {

const PrimitiveKernels primitive_kernels{
    .element_wise = element_wise,
    .sum = sum,
    .matrix_multiply = matrix_multiply,
    .relu_mask = relu_mask,
    .relu_mask_select = relu_mask_select,
};

}  // namespace normgraph::kernel::reference
