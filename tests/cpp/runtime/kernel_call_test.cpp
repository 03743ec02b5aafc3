#include "normgraph/runtime/kernel_call.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <vector>

namespace normgraph::runtime {
namespace {

/// The kernel that ran last.
std::string_view ran;

template <typename Arguments>
kernel::Kernel<Arguments>& kernel_of(kernel::Implementation& implementation) {
    return std::get<kernel::Kernel<Arguments>>(implementation.kernels);
}

/// An implementation that writes nothing.
kernel::Implementation recording_implementation() {
    kernel::Implementation implementation = kernel::implementation("reference");
    kernel_of<kernel::BatchNormTrainingArguments>(implementation) = [](const auto&, auto) {
        ran = "batch_norm_training";
    };
    kernel_of<kernel::BatchNormInferenceArguments>(implementation) = [](const auto&, auto) {
        ran = "batch_norm_inference";
    };
    kernel_of<kernel::BatchNormBackpropArguments>(implementation) = [](const auto& arguments,
                                                                       auto) {
        ran = arguments.statistics == kernel::Statistics::of_batch ? "backprop of the batch"
                                                                   : "backprop, statistics given";
    };
    return implementation;
}

std::string_view expected_kernel(std::string_view op) {
    const bool uses_batch = !op.starts_with("BatchNormInference");
    if (op.find("Backprop") != std::string_view::npos) {
        return uses_batch ? "backprop of the batch" : "backprop, statistics given";
    }
    return uses_batch ? "batch_norm_training" : "batch_norm_inference";
}

TEST(KernelCall, RunsTheGivenImplementation) {
    const std::array<std::int64_t, 2> shape{2, 1};
    const std::array<std::int64_t, 2> strides{4, 4};
    std::array<float, 2> memory{7, 8};
    auto* const address = reinterpret_cast<std::byte*>(memory.data());
    const Array data{element::f32, shape, strides, address, true};
    const Array vector{element::f32, std::span(shape).last(1), std::span(strides).last(1), address,
                       true};
    const kernel::Implementation implementation = recording_implementation();
    ASSERT_FALSE(kernel_calls().empty());
    for (const KernelCall& call : kernel_calls()) {
        std::vector<OptionalArray> inputs(call.inputs.size(), vector);
        inputs.front() = data;
        std::vector<OptionalArray> outputs(call.outputs.size());
        outputs.front() = data;
        ran = {};
        call.run(inputs, outputs, {0.0, 1}, {}, 1, implementation);
        EXPECT_EQ(ran, expected_kernel(call.op_class)) << call.op_class;
    }
    EXPECT_EQ(memory, (std::array<float, 2>{7, 8}));
}

}  // namespace
}  // namespace normgraph::runtime
