#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <span>
#include <vector>

#include "binding/python_function.hpp"
#include "normgraph/runtime/kernel_call.hpp"

/// One op as a Python function of its input arrays, epsilon, channel_axis, out, outputs (where it
/// has several), num_threads and implementation: arguments in, kernel run, results out.
namespace normgraph::binding {

/// runtime::validate. Where element types do not fit each other, the error says how arrays are
/// converted.
std::shared_ptr<const std::vector<TensorType>> validated(
    const runtime::KernelCall& call, std::span<const runtime::OptionalArray> inputs,
    const op::BatchNormAttributes& attributes, bool is_reduction_given);

std::vector<PythonParameter> kernel_parameters(const runtime::KernelCall& call);

/// Runs the kernel on what a function of these parameters is called with. Returns an instance of
/// the named tuple `result_type`, or, where that is null, the one output itself.
pybind11::object call_kernel(const runtime::KernelCall& call, pybind11::handle result_type,
                             Arguments arguments);

}  // namespace normgraph::binding
