#include "normgraph/op/batch_norm_training_relu_backprop.hpp"

#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/runtime/kernel_arguments.hpp"

namespace normgraph::runtime {
namespace {

void run(std::span<const OptionalArray> inputs, std::span<const OptionalArray> outputs,
         double epsilon, std::int64_t channel_axis, std::int64_t num_threads,
         const kernel::Implementation& implementation) {
    kernel::batch_norm_training_backprop(
        {
            .problem = problem_of(inputs, outputs, epsilon, channel_axis),
            .input = const_tensor(inputs[0]),
            .gamma = const_channel_vector(inputs[1]),
            .mean = const_channel_vector(inputs[3]),
            .variance = const_channel_vector(inputs[4]),
            .normalized_delta = const_tensor(inputs[6]),
            .input_delta = tensor(outputs[0]),
            .gamma_delta = channel_vector(outputs[1]),
            .beta_delta = channel_vector(outputs[2]),
            .mask = {relu_mask("mask", inputs[5]).address},
        },
        num_threads, implementation);
}

}  // namespace

const KernelCall batch_norm_training_relu_backprop{
    .name = "batch_norm_training_relu_backprop",
    .input_names = op::BatchNormTrainingReluBackprop::names_of_inputs,
    .output_names = op::BatchNormTrainingReluBackprop::names_of_outputs,
    .needs_elements = false,
    .infer = op::BatchNormTrainingReluBackprop::infer,
    .run = run,
};

}  // namespace normgraph::runtime
