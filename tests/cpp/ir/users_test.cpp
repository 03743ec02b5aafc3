#include "normgraph/ir/users.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/elementwise.hpp"

namespace normgraph {
namespace {

std::vector<Input> inputs_of(const Users& users, const Output& value) {
    const auto found = users.of(value);
    return {found.begin(), found.end()};
}

std::vector<std::size_t> results_of(const Users& users, const Output& value) {
    const auto found = users.results_of(value);
    return {found.begin(), found.end()};
}

TEST(Users, AreFoundByOutput) {
    const auto x = std::make_shared<Parameter>(element::f32, PartialShape{4, 3}, "x");
    const auto gamma = std::make_shared<Parameter>(element::f32, PartialShape{3}, "gamma");
    const auto norm = std::make_shared<op::BatchNormTraining>(x, gamma, gamma, 1e-5);
    const auto square = std::make_shared<op::Multiply>(norm->output(1), norm->output(1));
    const auto unused = std::make_shared<op::Negate>(x);
    const Function function({norm->output(0), square, norm->output(0)}, {x, gamma});
    const Users users(function);

    EXPECT_EQ(inputs_of(users, gamma), (std::vector{norm->input(1), norm->input(2)}));
    EXPECT_EQ(inputs_of(users, x), std::vector{norm->input(0)});
    EXPECT_EQ(inputs_of(users, norm->output(1)), (std::vector{square->input(0), square->input(1)}));
    EXPECT_TRUE(inputs_of(users, norm->output(0)).empty());
    EXPECT_EQ(results_of(users, norm->output(0)), (std::vector<std::size_t>{0, 2}));
    EXPECT_EQ(users.count(norm->output(0)), 2U);
    EXPECT_EQ(users.count(norm->output(1)), 2U);
    EXPECT_EQ(users.count(norm->output(2)), 0U);
    EXPECT_EQ(users.count(unused), 0U);
}

}  // namespace
}  // namespace normgraph
