#include <iostream>
#include <memory>

#include "normgraph/ir/function.hpp"
#include "normgraph/op/batch_norm_training_backprop.hpp"

using namespace normgraph;

int main() {
    const auto any = Dimension::dynamic();
    const auto vector = [](const char* name, std::int64_t length) {
        return std::make_shared<Parameter>(element::f32, PartialShape{length}, name);
    };
    const auto x = std::make_shared<Parameter>(element::f32, PartialShape{any, 64, any, any}, "x");
    const auto d = std::make_shared<Parameter>(element::f32, PartialShape{32, any, 7, 7}, "d");
    const auto gamma = vector("gamma", 64);
    const auto beta = vector("beta", 64);
    const auto mean = vector("mean", 64);
    const auto variance = vector("variance", 64);

    const auto node =
        std::make_shared<op::BatchNormTrainingBackprop>(x, gamma, beta, mean, variance, d, 1e-5);
    for (const Output& output : node->outputs()) {
        std::cout << output.name() << ": " << output.type() << '\n';
    }

    try {
        op::BatchNormTrainingBackprop(x, gamma, beta, mean, vector("variance", 1), d, -1.0, 4,
                                      "broken");
    } catch (const NodeValidationFailure& failure) {
        std::cout << failure.what() << '\n';
    }
}
