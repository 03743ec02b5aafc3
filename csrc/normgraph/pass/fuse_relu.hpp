#pragma once

#include "normgraph/ir/function.hpp"

namespace normgraph::pass {

/// The same function, to the bit, with fused ops where a rectifier alone reads the normalized
/// output of a BatchNormTraining: both become BatchNormTrainingRelu, and the rectifier's gradient
/// followed by BatchNormTrainingBackprop becomes BatchNormTrainingReluBackprop, which reads a mask
/// in place of the activated values.
Function fuse_relu(const Function& function);

}  // namespace normgraph::pass
