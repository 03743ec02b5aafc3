#include "normgraph/op/batch_norm_training.hpp"

#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/runtime/kernel_arguments.hpp"

namespace normgraph::runtime {
namespace {

void run(std::span<const OptionalArray> inputs, std::span<const OptionalArray> outputs,
         double epsilon, std::int64_t channel_axis, std::int64_t num_threads,
         const kernel::Implementation& implementation) {
    kernel::batch_norm_training(
        {
            .problem = problem_of(inputs, outputs, epsilon, channel_axis),
            .input = const_tensor(inputs[0]),
            .gamma = const_channel_vector(inputs[1]),
            .beta = const_channel_vector(inputs[2]),
            .normalized = tensor(outputs[0]),
            .mean = channel_vector(outputs[1]),
            .variance = channel_vector(outputs[2]),
        },
        num_threads, implementation);
}

}  // namespace

const KernelCall batch_norm_training{
    .name = "batch_norm_training",
    .input_names = op::BatchNormTraining::names_of_inputs,
    .output_names = op::BatchNormTraining::names_of_outputs,
    .needs_elements = true,
    .infer = op::BatchNormTraining::infer,
    .run = run,
};

}  // namespace normgraph::runtime
