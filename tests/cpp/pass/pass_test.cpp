#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../identity_node.hpp"
#include "normgraph/ir/constant.hpp"
#include "normgraph/ir/topological_order.hpp"
#include "normgraph/op/adjoints.hpp"
#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/expressions.hpp"
#include "normgraph/op/matrix_multiply.hpp"
#include "normgraph/op/reduction.hpp"
#include "normgraph/pass/decompose.hpp"
#include "normgraph/pass/differentiate.hpp"
#include "normgraph/pass/fuse_relu.hpp"
#include "normgraph/pass/merge_equal_nodes.hpp"
#include "parameter.hpp"

namespace normgraph::pass {
namespace {

using namespace op;  // formulas of nodes: left + right, −value

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

TEST(PropagateAdjoints, ASourceListedTwiceHasItsGradientInTheFirstPlace) {
    const auto x = parameter("x", {3});
    const auto y = parameter("y", {3});
    const std::vector<Output> roots{-Output(x), y};
    const std::vector<Output> sources{y, x, x, y};
    const Deltas found = op::propagate_adjoints(roots, {Output(y), Output(x)}, sources);
    ASSERT_EQ(found.size(), 4U);
    EXPECT_EQ(found[0], Output(x));
    ASSERT_TRUE(found[1].has_value());
    EXPECT_EQ(found[1]->node()->input_values(), std::vector<Output>{y});
    EXPECT_EQ(found[2], std::nullopt);
    EXPECT_EQ(found[3], std::nullopt);
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

TEST(MergeEqualNodes, TellsNodesWithAnotherMaskApart) {
    const auto x = parameter("x", {2, 3});
    const auto gamma = parameter("gamma", {3});
    std::vector<std::shared_ptr<Parameter>> masks;
    for (int index = 0; index < 2; ++index) {
        masks.push_back(std::make_shared<Parameter>(element::boolean, PartialShape{2, 1}));
    }
    std::vector<Output> results;
    for (const std::optional<Output>& where :
         {std::optional<Output>(), std::optional<Output>(masks[0]), std::optional<Output>(masks[1]),
          std::optional<Output>(masks[0])}) {
        results.push_back(std::make_shared<op::BatchNormTraining>(x, gamma, gamma, 1e-5, 1,
                                                                  std::nullopt, "", where)
                              ->output("mean"));
    }
    const Function merged = merge_equal_nodes(Function(results, {x, gamma, masks[0], masks[1]}));
    const std::vector<Output>& found = merged.results();
    EXPECT_NE(found[0], found[1]);
    EXPECT_NE(found[0], found[2]);
    EXPECT_NE(found[1], found[2]);
    EXPECT_EQ(found[1], found[3]);
}

TEST(Decompose, OfAMaskedOpLeavesNothingButPrimitives) {
    const auto x = parameter("x", {Dimension::dynamic(), 3});
    const auto gamma = parameter("gamma", {3});
    const auto where =
        std::make_shared<Parameter>(element::boolean, PartialShape::dynamic(), "where");
    const auto node =
        std::make_shared<op::BatchNormTraining>(x, gamma, gamma, 1e-5, 1, std::nullopt, "", where);
    const Function function({node->output(0)}, {x, gamma, where});
    const Function gradients = differentiate(function, {x, gamma});
    for (const Function& whole : {function, gradients}) {
        const Function stages = decompose(whole, element::f64);
        for (const std::shared_ptr<Node>& stage : stages.nodes()) {
            EXPECT_EQ(dynamic_cast<const op::BatchNormNode*>(stage.get()), nullptr);
        }
    }
    EXPECT_THROW(differentiate(function, {where}), std::invalid_argument);
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

/// The value itself, with any node as its gradient.
class WithGradient final : public IdentityNode {
public:
    using Gradient = std::function<Output(const Output& delta)>;

    WithGradient(const Output& value, Gradient gradient, std::string friendly_name)
        : IdentityNode(value, std::move(friendly_name)), gradient_(std::move(gradient)) {
        validate_and_infer_types();
    }
    std::string_view type_name() const noexcept override { return "WithGradient"; }

private:
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const override {
        return std::make_shared<WithGradient>(inputs[0], gradient_, friendly_name);
    }
    Deltas make_adjoints(const Deltas& deltas) override { return {gradient_(*deltas[0])}; }

    Gradient gradient_;
};

TEST(Differentiate, GradientsThatAreCalledAlikeHaveDistinctNames) {
    const std::vector<std::shared_ptr<Parameter>> parameters{
        parameter("x", {3}), parameter("y_delta", {3}), parameter("z", {3})};
    const auto negative = [](const Output& delta) { return named(-delta, "y_delta"); };
    std::vector<Output> results;
    for (const std::shared_ptr<Parameter>& value : parameters) {
        results.emplace_back(std::make_shared<WithGradient>(value, negative, "y"));
    }
    const Function function(results, parameters);
    for (int turn = 0; turn < 2; ++turn) {
        const Function gradients = differentiate(function, parameters);
        std::vector<std::string> names;
        for (const std::shared_ptr<Parameter>& each : gradients.parameters()) {
            names.push_back(each->friendly_name());
        }
        for (const Output& result : gradients.results()) {
            names.push_back(result.node()->friendly_name());
        }
        EXPECT_EQ(names,
                  (std::vector<std::string>{"x", "y_delta", "z", "y_delta#2", "y_delta#3",
                                            "y_delta#4", "y_delta#5", "y_delta#6", "y_delta#7"}));
    }
}

/// Others may see it.
TEST(Differentiate, AGradientThatWasThereBeforeKeepsItsName) {
    const auto x = parameter("x", {3});
    const auto z = parameter("z", {3});
    const Output other = named(-Output(z), "x");
    const auto node = std::make_shared<WithGradient>(
        x, [&](const Output& /*delta*/) { return Output(other); }, "y");
    const Function gradients = differentiate(Function({node, other}, {x, z}), {x});
    EXPECT_EQ(gradients.results()[0], other);
    EXPECT_EQ(other.node()->friendly_name(), "x");
}

/// Each parameter is a source, in the second turn each delta as well: to look them up in a list
/// would take minutes.
TEST(Differentiate, AWideFunctionTwice) {
    constexpr std::size_t count = 30'000;
    std::vector<std::shared_ptr<Parameter>> parameters;
    std::vector<Output> results;
    for (std::size_t index = 0; index < count; ++index) {
        parameters.push_back(parameter("x", {3}));
        results.push_back(Output(parameters.back()) * Output(parameters.back()));
    }
    const Function first = differentiate(Function(results, parameters), parameters);
    ASSERT_EQ(first.parameters().size(), 2 * count);
    const Function second = differentiate(first, first.parameters());
    ASSERT_EQ(second.parameters().size(), 3 * count);
    ASSERT_EQ(second.results().size(), 2 * count);
    // d(2·x·delta)/dx · delta' and d(2·x·delta)/ddelta · delta'
    const Function alone = differentiate(Function({results[0]}, {parameters[0]}), {parameters[0]});
    const Function twice = differentiate(alone, alone.parameters());
    EXPECT_EQ(node_count(second), count * node_count(twice));
}

/// A chain as deep as no stack is.
TEST(Passes, OfADeepFunction) {
    constexpr std::size_t depth = 100'000;
    const auto x = parameter("x", {3});
    Output last = x;
    for (std::size_t index = 0; index < depth; ++index) {
        last = -last;
    }
    const Function gradients = differentiate(Function({std::exchange(last, x)}, {x}), {x});
    EXPECT_EQ(node_count(gradients), depth + 2);
    const Function second = differentiate(gradients, gradients.parameters());
    // x does not count: its gradient is 0, in three nodes of which one converts.
    EXPECT_EQ(node_count(second), 3 + depth + 3);
    EXPECT_EQ(node_count(fuse_relu(merge_equal_nodes(decompose(gradients, element::f64)))),
              depth + 2);
}

}  // namespace
}  // namespace normgraph::pass
