#include "normgraph/op/batch_norm_inference.hpp"

#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/runtime/kernel_arguments.hpp"

namespace normgraph::runtime {
namespace {

void run(std::span<const OptionalArray> inputs, std::span<const OptionalArray> outputs,
         double epsilon, std::int64_t channel_axis, std::int64_t num_threads,
         const kernel::Implementation& implementation) {
    kernel::batch_norm_inference(
        {
            .problem = problem_of(inputs, outputs, epsilon, channel_axis),
            .input = const_tensor(inputs[0]),
            .gamma = const_channel_vector(inputs[1]),
            .beta = const_channel_vector(inputs[2]),
            .mean = const_channel_vector(inputs[3]),
            .variance = const_channel_vector(inputs[4]),
            .normalized = tensor(outputs[0]),
        },
        num_threads, implementation);
}

}  // namespace

const KernelCall batch_norm_inference{
    .name = "batch_norm_inference",
    .input_names = op::BatchNormInference::names_of_inputs,
    .output_names = op::BatchNormInference::names_of_outputs,
    .needs_elements = false,
    .infer = op::BatchNormInference::infer,
    .run = run,
};

}  // namespace normgraph::runtime
