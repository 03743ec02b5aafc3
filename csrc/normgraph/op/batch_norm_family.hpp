#pragma once

#include "normgraph/op/batch_norm_inference.hpp"
#include "normgraph/op/batch_norm_inference_add_relu.hpp"
#include "normgraph/op/batch_norm_inference_backprop.hpp"
#include "normgraph/op/batch_norm_inference_relu.hpp"
#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/batch_norm_training_add_relu.hpp"
#include "normgraph/op/batch_norm_training_add_relu_backprop.hpp"
#include "normgraph/op/batch_norm_training_backprop.hpp"
#include "normgraph/op/batch_norm_training_relu.hpp"
#include "normgraph/op/batch_norm_training_relu_backprop.hpp"

namespace normgraph::op {

/// The ops of the family. Each is a node, a function on arrays, and a class and a function of
/// Python, by being listed here.
template <template <typename...> typename List>
using BatchNormFamily =
    List<BatchNormTraining, BatchNormInference, BatchNormTrainingBackprop,
         BatchNormInferenceBackprop, BatchNormTrainingRelu, BatchNormTrainingReluBackprop,
         BatchNormTrainingAddRelu, BatchNormTrainingAddReluBackprop, BatchNormInferenceRelu,
         BatchNormInferenceAddRelu>;

}  // namespace normgraph::op
