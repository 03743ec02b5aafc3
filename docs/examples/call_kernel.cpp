#include <array>
#include <cstdint>
#include <iostream>
#include <span>

#include "normgraph/kernel/dispatch.hpp"

namespace kernel = normgraph::kernel;

int main() {
    // Three rows of two channels, channels last.
    const std::array<float, 6> input{1, -4, 2, 0, 6, 1};
    const std::array<std::int64_t, 2> shape{3, 2};
    const std::array<std::int64_t, 2> strides{2 * sizeof(float), sizeof(float)};
    const std::array<float, 2> gamma{1, 10};
    std::array<float, 6> normalized{};
    std::array<float, 2> mean{};
    std::array<float, 2> variance{};

    kernel::run(kernel::BatchNormTrainingArguments{
        .problem = {.shape = shape,
                    .channel_axis = 1,
                    .data_type = kernel::ElementType::f32,
                    .affine_type = kernel::ElementType::f32,
                    .statistics_type = kernel::ElementType::f32,
                    .epsilon = 1e-5},
        .input = {std::as_bytes(std::span(input)).data(), strides},
        .gamma = {std::as_bytes(std::span(gamma)).data(), sizeof(float)},
        .beta = {},  // absent: 0
        .normalized = {std::as_writable_bytes(std::span(normalized)).data(), strides},
        .mean = {std::as_writable_bytes(std::span(mean)).data(), sizeof(float)},
        .variance = {std::as_writable_bytes(std::span(variance)).data(), sizeof(float)},
    });
    std::cout << "mean " << mean[0] << ' ' << mean[1] << '\n';
    std::cout << "variance " << variance[0] << ' ' << variance[1] << '\n';
    for (std::size_t row = 0; row < 3; ++row) {
        std::cout << normalized[2 * row] << ' ' << normalized[2 * row + 1] << '\n';
    }
}
