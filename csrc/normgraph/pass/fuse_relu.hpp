#pragma once

#include "normgraph/ir/function.hpp"

namespace normgraph::pass {

/// Returns the same function, to the bit, with fused ops where ReLU alone reads the normalized
/// output of a BatchNormTraining: both become BatchNormTrainingRelu, and ReLU's gradient followed
/// by BatchNormTrainingBackprop becomes BatchNormTrainingReluBackprop, which reads a mask in place
/// of the activated values.
Function fuse_relu(const Function& function);

}  // namespace normgraph::pass
