#pragma once

#include "normgraph/kernel/contract.hpp"

/// Scalar kernels that state what every other kernel must equal to the bit, written to be read.
namespace normgraph::kernel::reference {

void batch_norm_training(const BatchNormTrainingArguments& arguments);
void batch_norm_inference(const BatchNormInferenceArguments& arguments);
void batch_norm_training_backprop(const BatchNormTrainingBackpropArguments& arguments);

}  // namespace normgraph::kernel::reference
