#pragma once

#include "normgraph/ir/function.hpp"

namespace normgraph::pass {

/// Returns the function with statistics of 16-bit data in f32 between its ops: a BatchNormTraining
/// (or the op with ReLU) whose data and statistics are of one 16-bit type puts out f32 ones, which
/// the ops of the family and conversions to f32 and f64 read as they are, and all others converted
/// to the type of before.
///
/// Mean and variance themselves keep their bits, since kernels round to 16 bits by way of f32; the
/// gradients lose what rounding the statistics has cost them. Nodes whose types are not known are
/// left as they are.
Function widen_statistics(const Function& function);

}  // namespace normgraph::pass
