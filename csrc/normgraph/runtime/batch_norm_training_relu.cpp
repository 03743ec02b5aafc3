#include "normgraph/op/batch_norm_training_relu.hpp"

#include <cstddef>
#include <vector>

#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/kernel/relu_mask.hpp"
#include "normgraph/runtime/kernel_arguments.hpp"

namespace normgraph::runtime {
namespace {

/// Memory for an output that the kernel needs and nobody wants: it makes activated and mask
/// together or not at all.
class Scratch {
public:
    kernel::ReluMask mask(const kernel::Problem& problem) {
        bytes_.resize(static_cast<std::size_t>(kernel::ReluMaskLayout(problem).byte_count()));
        return {bytes_.data()};
    }
    kernel::Tensor tensor(const kernel::Problem& problem) {
        auto stride = static_cast<std::int64_t>(kernel::size_of(problem.data_type));
        strides_.resize(problem.shape.size());
        for (std::size_t axis = strides_.size(); axis-- > 0;) {
            strides_[axis] = stride;
            stride *= problem.shape[axis];
        }
        bytes_.resize(static_cast<std::size_t>(stride));
        return {bytes_.data(), strides_};
    }

private:
    std::vector<std::byte> bytes_;
    std::vector<std::int64_t> strides_;
};

void run(std::span<const OptionalArray> inputs, std::span<const OptionalArray> outputs,
         double epsilon, std::int64_t channel_axis, std::int64_t num_threads,
         const kernel::Implementation& implementation) {
    const kernel::Problem problem = problem_of(inputs, outputs, epsilon, channel_axis);
    kernel::Tensor activated = tensor(outputs[0]);
    kernel::ReluMask mask = relu_mask("out[3] (mask)", outputs[3]);
    Scratch scratch;
    if (outputs[0] && !outputs[3]) {
        mask = scratch.mask(problem);
    }
    if (outputs[3] && !outputs[0]) {
        activated = scratch.tensor(problem);
    }
    kernel::batch_norm_training(
        {
            .problem = problem,
            .input = const_tensor(inputs[0]),
            .gamma = const_channel_vector(inputs[1]),
            .beta = const_channel_vector(inputs[2]),
            .normalized = activated,
            .mean = channel_vector(outputs[1]),
            .variance = channel_vector(outputs[2]),
            .mask = mask,
        },
        num_threads, implementation);
}

}  // namespace

const KernelCall batch_norm_training_relu{
    .name = "batch_norm_training_relu",
    .input_names = op::BatchNormTrainingRelu::names_of_inputs,
    .output_names = op::BatchNormTrainingRelu::names_of_outputs,
    .needs_elements = true,
    .infer = op::BatchNormTrainingRelu::infer,
    .run = run,
};

}  // namespace normgraph::runtime
