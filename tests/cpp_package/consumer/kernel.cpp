// Links the kernels alone: normalizes three rows of two channels in bf16.
#include <array>
#include <cstddef>
#include <cstdint>
#include <iostream>

#include "normgraph/kernel/dispatch.hpp"

namespace kernel = normgraph::kernel;

int main() {
    const std::array<std::int64_t, 2> shape{3, 2};
    const std::array<std::int64_t, 2> strides{4, 2};
    std::array<kernel::bfloat16, 6> x{};
    for (std::size_t index = 0; index < x.size(); ++index) {
        // Channel 0 is -1, 0, 1; channel 1 is constant.
        const float value = index % 2 == 1 ? 5.0F : static_cast<float>(index) / 2.0F - 1.0F;
        x[index] = kernel::to_bfloat16(value);
    }
    const std::array<float, 2> gamma{2, 3};
    const std::array<float, 2> beta{10, 20};
    std::array<kernel::bfloat16, 6> normalized{};
    std::array<float, 2> mean{};
    std::array<float, 2> variance{};

    // 2/3 + 1/3 = 1: channel 0 is divided by 1 (to the accuracy of bf16).
    kernel::run(kernel::BatchNormTrainingArguments{
        .problem = {shape, 1, kernel::ElementType::bf16, kernel::ElementType::f32,
                    kernel::ElementType::f32, 1.0 / 3.0},
        .input = {reinterpret_cast<const std::byte*>(x.data()), strides},
        .gamma = {reinterpret_cast<const std::byte*>(gamma.data()), 4},
        .beta = {reinterpret_cast<const std::byte*>(beta.data()), 4},
        .normalized = {reinterpret_cast<std::byte*>(normalized.data()), strides},
        .mean = {reinterpret_cast<std::byte*>(mean.data()), 4},
        .variance = {reinterpret_cast<std::byte*>(variance.data()), 4},
    });
    std::cout << "implementation: " << kernel::chosen_implementation().name << "\nnormalized:";
    for (const kernel::bfloat16 value : normalized) {
        std::cout << ' ' << kernel::to_float(value);
    }
    std::cout << "\nmean: " << mean[0] << ' ' << mean[1] << "\nvariance: " << variance[0] << ' '
              << variance[1] << "\n";
}
