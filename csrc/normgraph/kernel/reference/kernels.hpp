#pragma once

#include "normgraph/kernel/contract.hpp"

/// Scalar kernels that state what every other kernel must equal to the bit, written to be read.
/// Each computes the outputs of the channels of a range, and touches no others.
namespace normgraph::kernel::reference {

void batch_norm_training(const BatchNormTrainingArguments& arguments, ChannelRange range);
void batch_norm_inference(const BatchNormInferenceArguments& arguments, ChannelRange range);
void batch_norm_backprop(const BatchNormBackpropArguments& arguments, ChannelRange range);

}  // namespace normgraph::kernel::reference
