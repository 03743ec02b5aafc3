// Constructs a node, prints what it infers, catches what an invalid one throws, and runs the kernel
// that the op stands for.
#include <array>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>

#include "normgraph/ir/node_validation_failure.hpp"
#include "normgraph/ir/parameter.hpp"
#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/op/batch_norm_training_backprop.hpp"

namespace {

using normgraph::Dimension;
using normgraph::Parameter;
using normgraph::PartialShape;
using normgraph::op::BatchNormTrainingBackprop;
namespace element = normgraph::element;

std::shared_ptr<Parameter> parameter(const char* name, PartialShape shape) {
    return std::make_shared<Parameter>(element::f32, std::move(shape), name);
}

std::shared_ptr<BatchNormTrainingBackprop> backprop(PartialShape delta_shape) {
    const auto variance = parameter("variance", {64});
    const auto vector = parameter("vector", PartialShape::dynamic());
    return std::make_shared<BatchNormTrainingBackprop>(
        parameter("x", PartialShape::dynamic()), vector, vector, vector, variance,
        parameter("delta", std::move(delta_shape)), 1e-5, 1, "backprop");
}

void print_inferred_outputs() {
    const auto node = backprop({Dimension::dynamic(), Dimension::dynamic(), 7, 7});
    std::cout << node->to_string() << "\n";
    for (const normgraph::Output& output : node->outputs()) {
        std::cout << output.name() << ": " << output.type() << "\n";
    }
}

void print_failure() {
    try {
        backprop({8, 32, 7, 7});
    } catch (const normgraph::NodeValidationFailure& failure) {
        std::cout << failure.what() << "\n";
    }
}

// With mean 0, variance 1 and epsilon 0, x is its own normalized value.
void print_gradients() {
    const std::array<std::int64_t, 2> shape{4, 1};
    const std::array<std::int64_t, 2> strides{sizeof(float), sizeof(float)};
    const std::array<float, 4> x{-1, 1, -1, 1};
    const std::array<float, 4> delta{1, 2, 3, 6};
    const float gamma = 2;
    const float mean = 0;
    const float variance = 1;
    std::array<float, 4> input_delta{};
    float gamma_delta = 0;
    float beta_delta = 0;

    const auto bytes = [](const float* address) {
        return reinterpret_cast<const std::byte*>(address);
    };
    const auto writable_bytes = [](float* address) {
        return reinterpret_cast<std::byte*>(address);
    };
    namespace kernel = normgraph::kernel;
    kernel::run(kernel::BatchNormBackpropArguments{
        .problem = {shape, 1, kernel::ElementType::f32, kernel::ElementType::f32,
                    kernel::ElementType::f32, 0.0},
        .statistics = kernel::Statistics::of_batch,
        .input = {bytes(x.data()), strides},
        .gamma = {bytes(&gamma), 0},
        .mean = {bytes(&mean), 0},
        .variance = {bytes(&variance), 0},
        .normalized_delta = {bytes(delta.data()), strides},
        .input_delta = {writable_bytes(input_delta.data()), strides},
        .gamma_delta = {writable_bytes(&gamma_delta), 0},
        .beta_delta = {writable_bytes(&beta_delta), 0},
    });
    std::cout << "input_delta:";
    for (const float value : input_delta) {
        std::cout << ' ' << value;
    }
    std::cout << "\ngamma_delta: " << gamma_delta << "\nbeta_delta: " << beta_delta << "\n";
}

}  // namespace

int main() {
    print_inferred_outputs();
    print_failure();
    print_gradients();
}
