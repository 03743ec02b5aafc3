#pragma once

#include "normgraph/ir/tensor_type.hpp"

namespace normgraph::op {

/// What an op's `infer` takes and returns, one per input and one per output.
using normgraph::TensorType;

}  // namespace normgraph::op
