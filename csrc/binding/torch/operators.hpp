#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "normgraph/runtime/kernel_call.hpp"

/// The family's functions on arrays as operators of torch, on torch's tensors and threads.
namespace normgraph::binding::torch {

/// In the language of torch's operator registry, without the namespace:
/// "batch_norm_inference(Tensor input, Tensor? gamma, …, float epsilon, int channel_axis) -> Tensor
/// normalized". An op with several outputs has the argument `int outputs`: bit i says whether
/// output i is wanted; one that is not is a tensor without elements.
std::string schema_of(const runtime::KernelCall& call);

/// The schema of the update of running statistics, which writes to its first two arguments.
std::string running_statistics_schema();

/// Registers the kernels of all operators for the processor with the libtorch at `path`, which the
/// process has loaded and which knows their schemas. Once. Throws std::runtime_error, which says
/// what was expected, if it is not loaded, or is older than 2.11.
void register_kernels(const std::string& path);

}  // namespace normgraph::binding::torch
