#pragma once

#include "normgraph/ir/function.hpp"

namespace normgraph::pass {

/// Returns the same function, to the bit, with fused ops where ReLU alone reads the normalized
/// output of a BatchNormTraining: both become BatchNormTrainingRelu, and ReLU's gradient followed
/// by BatchNormTrainingBackprop becomes BatchNormTrainingReluBackprop, which reads a mask in place
/// of the activated values.
///
/// Where a sum with another value alone reads the normalized output, and ReLU the sum, these become
/// BatchNormTrainingAddRelu and its gradients: in f32 and f64, where the bits are the same, and
/// where the other value stands before the op among the function's nodes.
///
/// BatchNormInference and what follows it become BatchNormInferenceRelu and
/// BatchNormInferenceAddRelu in the same way; ReLU's gradient stays as it is.
Function fuse_relu(const Function& function);

}  // namespace normgraph::pass
