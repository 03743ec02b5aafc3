#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <vector>

#include "normgraph/ir/constant.hpp"
#include "normgraph/ir/topological_order.hpp"
#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/expressions.hpp"
#include "normgraph/op/matrix_multiply.hpp"
#include "normgraph/op/reduction.hpp"
#include "normgraph/pass/decompose.hpp"
#include "normgraph/pass/differentiate.hpp"
#include "normgraph/pass/merge_equal_nodes.hpp"

namespace normgraph::pass {
namespace {

using namespace op;  // formulas of nodes: left + right, −value

std::shared_ptr<Parameter> parameter(const char* name, PartialShape shape) {
    return std::make_shared<Parameter>(element::f32, std::move(shape), name);
}

std::size_t node_count(const Function& function) {
    return function.nodes().size();
}

TEST(MergeEqualNodes, MergesWhatReadsTheSame) {
    const auto x = parameter("x", {2, 3});
    const Output left = op::sum(-Output(x), {1});
    const Output right = op::sum(-Output(x), {1});
    const Function merged = merge_equal_nodes(Function({left + right}, {x}));
    EXPECT_EQ(node_count(merged), 4U);  // x, −x, Σ, +
    const Node& sum = *merged.results().front().node();
    EXPECT_EQ(sum.input_values()[0], sum.input_values()[1]);
    EXPECT_EQ(merged.parameters().front(), x);
}

TEST(MergeEqualNodes, KeepsWhatDiffers) {
    const auto x = parameter("x", {3, 3});
    const auto y = parameter("y", {3, 3});
    const std::vector<Output> results{
        op::sum(x, {0}),
        op::sum(x, {1}),
        op::sum(x, {}),
        op::mean(x, {0}),
        op::sum(y, {0}),
        Output(x) + Output(y),
        Output(y) + Output(x),
        std::make_shared<op::MatrixMultiply>(x, y),
        std::make_shared<op::MatrixMultiply>(x, y, true),
        std::make_shared<op::MatrixMultiply>(x, y, false, true),
        op::convert(x, element::f64),
        op::convert(x, element::f16),
        op::filled(0.0, element::f64, x),
        op::filled(-0.0, element::f64, x),
    };
    const Function function(results, {x, y});
    EXPECT_EQ(node_count(merge_equal_nodes(function)), node_count(function));
}

TEST(MergeEqualNodes, TellsOutputsOfOneNodeApart) {
    const auto x = parameter("x", {4, 3});
    const auto gamma = parameter("gamma", {3});
    const auto node = std::make_shared<op::BatchNormTraining>(x, gamma, gamma, 1e-5);
    const Function function({-node->output("mean"), -node->output("variance")}, {x, gamma});
    const Function merged = merge_equal_nodes(function);
    EXPECT_EQ(node_count(merged), node_count(function));
    EXPECT_EQ(merged.results()[1].node()->input_values()[0].name(), "variance");
}

TEST(TopologicalOrder, StopsAtSources) {
    const auto x = parameter("x", {4, 3});
    const auto gamma = parameter("gamma", {3});
    const auto node = std::make_shared<op::BatchNormTraining>(x, gamma, gamma, 1e-5);
    const Output negative = -node->output("mean");
    const std::vector<Output> roots{negative * negative, node->output("variance")};
    const std::vector<Output> sources{node->output("mean")};
    // The node of the source is there for its other output, not for the source.
    EXPECT_EQ(topological_order(std::span(roots).first(1), sources).size(), 2U);
    EXPECT_EQ(topological_order(roots, sources).size(), 5U);
    EXPECT_TRUE(topological_order(sources, sources).empty());
}

TEST(Decompose, LeavesNothingButPrimitives) {
    const auto x = parameter("x", {Dimension::dynamic(), 3});
    const auto gamma = parameter("gamma", {3});
    const auto node = std::make_shared<op::BatchNormTraining>(x, gamma, gamma, 1e-5);
    const Function function({node->output(0)}, {x, gamma});
    const Function stages = decompose(function, element::f64);
    for (const std::shared_ptr<Node>& stage : stages.nodes()) {
        EXPECT_EQ(dynamic_cast<const op::BatchNormNode*>(stage.get()), nullptr);
    }
    EXPECT_EQ(stages.results()[0].type(), function.results()[0].type());
    EXPECT_THROW(decompose(function, element::i32), std::invalid_argument);
}

TEST(Differentiate, NeedsOneDeltaPerOutput) {
    const auto x = parameter("x", {3});
    const auto node = std::make_shared<op::Negate>(x);
    EXPECT_THROW(node->generate_adjoints({}), std::invalid_argument);
    EXPECT_THROW(node->generate_adjoints({x, x}), std::invalid_argument);
    EXPECT_EQ(node->generate_adjoints({std::nullopt}), Deltas{std::nullopt});
}

TEST(Differentiate, GivesOneGradientPerParameter) {
    const auto x = parameter("x", {3});
    const auto y = parameter("y", {3});
    const Function gradients = differentiate(Function({Output(x) * Output(y)}, {x, y}), {y, x});
    ASSERT_EQ(gradients.results().size(), 2U);
    EXPECT_EQ(gradients.parameters().size(), 3U);
    // d(x·y)/dy · delta
    EXPECT_EQ(gradients.results()[0].node()->input_values(),
              (std::vector<Output>{x, gradients.parameters()[2]}));
}

}  // namespace
}  // namespace normgraph::pass
