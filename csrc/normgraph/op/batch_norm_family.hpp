#pragma once

#include "normgraph/op/batch_norm_backprop_sums.hpp"
#include "normgraph/op/batch_norm_inference.hpp"
#include "normgraph/op/batch_norm_inference_add_relu.hpp"
#include "normgraph/op/batch_norm_inference_backprop.hpp"
#include "normgraph/op/batch_norm_inference_relu.hpp"
#include "normgraph/op/batch_norm_statistics.hpp"
#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/batch_norm_training_add_relu.hpp"
#include "normgraph/op/batch_norm_training_add_relu_backprop.hpp"
#include "normgraph/op/batch_norm_training_apply.hpp"
#include "normgraph/op/batch_norm_training_backprop.hpp"
#include "normgraph/op/batch_norm_training_backprop_apply.hpp"
#include "normgraph/op/batch_norm_training_relu.hpp"
#include "normgraph/op/batch_norm_training_relu_backprop.hpp"

namespace normgraph::op {

/// The ops of the family. Each is a node and a class of Python by being listed here, and but for
/// the stages, which stand last, a function on arrays and of Python.
template <template <typename...> typename List>
using BatchNormFamily =
    List<BatchNormTraining, BatchNormInference, BatchNormTrainingBackprop,
         BatchNormInferenceBackprop, BatchNormTrainingRelu, BatchNormTrainingReluBackprop,
         BatchNormTrainingAddRelu, BatchNormTrainingAddReluBackprop, BatchNormInferenceRelu,
         BatchNormInferenceAddRelu, BatchNormStatistics, BatchNormTrainingApply,
         BatchNormBackpropSums, BatchNormTrainingBackpropApply>;

}  // namespace normgraph::op
