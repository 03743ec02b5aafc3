#include <iostream>
#include <memory>
#include <stdexcept>

#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/pass/differentiate.hpp"
#include "run.hpp"

using namespace normgraph;

int main() {
    const PartialShape any_rows{Dimension::dynamic(), 2};
    const auto x = std::make_shared<Parameter>(element::f32, any_rows, "x");
    const auto gamma = std::make_shared<Parameter>(element::f32, PartialShape{2}, "gamma");
    const auto beta = std::make_shared<Parameter>(element::f32, PartialShape{2}, "beta");
    const auto norm = std::make_shared<op::BatchNormTraining>(x, gamma, beta, 0.0);
    const Function layer({std::make_shared<op::Relu>(norm->output("normalized"))},
                         {x, gamma, beta});

    const Tensor rows{{2, 2}, {1, 10, 3, 30}};
    const Tensor twos{{2}, {2, 2}};
    const Tensor ones{{2}, {1, 1}};
    const auto print = [](const std::vector<Tensor>& results) {
        for (const Tensor& result : results) {
            for (const float value : result.values) {
                std::cout << value << ' ';
            }
            std::cout << '\n';
        }
    };
    std::cout << "result:\n";
    print(run(layer, {rows, twos, ones}));

    std::cout << "gradients of gamma and beta:\n";
    const Tensor delta{{2, 2}, {1, 1, 5, 7}};
    print(run(pass::differentiate(layer, {gamma, beta}), {rows, twos, ones, delta}));

    try {
        run(layer, {Tensor{{1, 3}, {1, 2, 3}}, twos, ones});
    } catch (const std::invalid_argument& error) {
        std::cout << error.what() << '\n';
    }
}
