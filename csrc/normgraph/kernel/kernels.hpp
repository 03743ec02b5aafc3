#pragma once

#include <cstdint>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/primitive_contract.hpp"

/// Each kernel twice: the reference, and the one made of micro-kernels.
namespace normgraph::kernel {

/// Scalar kernels that state what every other kernel must equal to the bit, written to be read.
namespace reference {

// Each computes the outputs of the channels of a range, and touches no others.
void run_kernel(const BatchNormTrainingArguments& arguments, ChannelRange range);
void run_kernel(const BatchNormInferenceArguments& arguments, ChannelRange range);
void run_kernel(const BatchNormBackpropArguments& arguments, ChannelRange range);
void run_kernel(const BatchNormStatisticsArguments& arguments, ChannelRange range);
void run_kernel(const BatchNormBackpropSumsArguments& arguments, ChannelRange range);

void run_kernel(const ElementWiseProgram& program, std::int64_t num_threads);
void run_kernel(const SumArguments& arguments, std::int64_t num_threads);
void run_kernel(const MatrixMultiplyArguments& arguments, std::int64_t num_threads);
void run_kernel(const ReluMaskArguments& arguments, std::int64_t num_threads);
void run_kernel(const ReluMaskSelectArguments& arguments, std::int64_t num_threads);

}  // namespace reference

/// The kernels with any instruction set's micro-kernels. All outputs are computed, by at most
/// num_threads threads, and equal the reference's to the bit.
namespace simd {

struct MicroKernelTable;

void run_kernel(const MicroKernelTable& table, const BatchNormTrainingArguments& arguments,
                std::int64_t num_threads);
void run_kernel(const MicroKernelTable& table, const BatchNormInferenceArguments& arguments,
                std::int64_t num_threads);
void run_kernel(const MicroKernelTable& table, const BatchNormBackpropArguments& arguments,
                std::int64_t num_threads);
void run_kernel(const MicroKernelTable& table, const BatchNormStatisticsArguments& arguments,
                std::int64_t num_threads);
void run_kernel(const MicroKernelTable& table, const BatchNormBackpropSumsArguments& arguments,
                std::int64_t num_threads);

void run_kernel(const MicroKernelTable& table, const ElementWiseProgram& program,
                std::int64_t num_threads);
void run_kernel(const MicroKernelTable& table, const SumArguments& arguments,
                std::int64_t num_threads);
void run_kernel(const MicroKernelTable& table, const MatrixMultiplyArguments& arguments,
                std::int64_t num_threads);
void run_kernel(const MicroKernelTable& table, const ReluMaskArguments& arguments,
                std::int64_t num_threads);
void run_kernel(const MicroKernelTable& table, const ReluMaskSelectArguments& arguments,
                std::int64_t num_threads);

}  // namespace simd
}  // namespace normgraph::kernel
