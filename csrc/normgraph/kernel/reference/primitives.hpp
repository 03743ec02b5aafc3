#pragma once

#include "normgraph/kernel/primitive_contract.hpp"

/// The primitive operations as plain loops: what every other kernel must equal to the bit.
namespace normgraph::kernel::reference {

extern const PrimitiveKernels primitive_kernels;

void element_wise(const ElementWiseProgram& program, std::int64_t num_threads);
void sum(const SumArguments& arguments, std::int64_t num_threads);
void matrix_multiply(const MatrixMultiplyArguments& arguments, std::int64_t num_threads);
void relu_mask(const ReluMaskArguments& arguments, std::int64_t num_threads);
void relu_mask_select(const ReluMaskSelectArguments& arguments, std::int64_t num_threads);

}  // namespace normgraph::kernel::reference
