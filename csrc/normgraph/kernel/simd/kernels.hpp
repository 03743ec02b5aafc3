#pragma once

#include <cstdint>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/primitive_contract.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"

/// The ops' kernels, with any instruction set's micro-kernels. All outputs are computed, by at most
/// num_threads threads, and equal the reference's to the bit.
namespace normgraph::kernel::simd {

void batch_norm_training(const MicroKernelTable& table, const BatchNormTrainingArguments& arguments,
                         std::int64_t num_threads);
void batch_norm_inference(const MicroKernelTable& table,
                          const BatchNormInferenceArguments& arguments, std::int64_t num_threads);
void batch_norm_backprop(const MicroKernelTable& table, const BatchNormBackpropArguments& arguments,
                         std::int64_t num_threads);

void element_wise(const MicroKernelTable& table, const ElementWiseProgram& program,
                  std::int64_t num_threads);
void sum(const MicroKernelTable& table, const SumArguments& arguments, std::int64_t num_threads);
void matrix_multiply(const MicroKernelTable& table, const MatrixMultiplyArguments& arguments,
                     std::int64_t num_threads);
void relu_mask(const MicroKernelTable& table, const ReluMaskArguments& arguments,
               std::int64_t num_threads);
void relu_mask_select(const MicroKernelTable& table, const ReluMaskSelectArguments& arguments,
                      std::int64_t num_threads);

}  // namespace normgraph::kernel::simd
