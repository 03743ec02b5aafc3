// Ops that a user defines: they compile and are differentiated through their decompositions.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../identity_node.hpp"
#include "../message_of.hpp"
#include "../run_function.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/expressions.hpp"
#include "normgraph/pass/decompose.hpp"
#include "normgraph/pass/differentiate.hpp"
#include "parameter.hpp"

namespace normgraph::pass {
namespace {

using namespace op;  // formulas of nodes: left + right, −value

/// An op that says nothing but what it is made of.
class Defined final : public IdentityNode {
public:
    using Definition = std::function<std::vector<Output>(const Output& value)>;

    Defined(const Output& value, Definition definition, std::string friendly_name)
        : IdentityNode(value, std::move(friendly_name)), definition_(std::move(definition)) {
        validate_and_infer_types();
    }
    std::string_view type_name() const noexcept override { return "Defined"; }
    std::optional<std::vector<Output>> decompose(element::Type /*compute_type*/) override {
        return definition_ ? std::optional(definition_(input_values()[0])) : std::nullopt;
    }

private:
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const override {
        return std::make_shared<Defined>(inputs[0], definition_, friendly_name);
    }

    Definition definition_;
};

Output defined(const Output& value, Defined::Definition definition) {
    return std::make_shared<Defined>(value, std::move(definition), "square");
}

std::vector<Output> square(const Output& value) {
    return {value * value};
}

std::vector<Output> fourth_power(const Output& value) {
    return {defined(defined(value, square), square)};
}

std::vector<Output> endless(const Output& value) {
    return {defined(value, endless)};
}

constexpr std::array backends{runtime::Backend::cpu, runtime::Backend::reference};

TEST(DefinedOp, RunsAsItsDecomposition) {
    const auto x = parameter("x");
    for (const runtime::Backend backend : backends) {
        const auto run = [&](Defined::Definition definition) {
            return run_on_vectors(Function({defined(x, std::move(definition))}, {x}), {{1, -2, 3}},
                                  backend);
        };
        EXPECT_EQ(run(square), (std::vector<std::vector<float>>{{1, 4, 9}}));
        EXPECT_EQ(run(fourth_power), (std::vector<std::vector<float>>{{1, 16, 81}}));
    }
}

TEST(DefinedOp, IsDifferentiatedAsItsDecomposition) {
    const auto x = parameter("x");
    const Function gradients = differentiate(Function({defined(x, fourth_power)}, {x}), {x});
    // 4 x³ · delta, and the same again: 12 x² · delta · delta'
    EXPECT_EQ(run_on_vectors(gradients, {{1, -2, 3}, {1, 1, 2}}, runtime::Backend::cpu),
              (std::vector<std::vector<float>>{{4, -32, 216}}));
    const Function second = differentiate(gradients, {x});
    EXPECT_EQ(run_on_vectors(second, {{1, -2, 3}, {1, 1, 2}, {1, 1, 1}}, runtime::Backend::cpu),
              (std::vector<std::vector<float>>{{12, 48, 216}}));
}

TEST(DefinedOp, IsDecomposedToTheEnd) {
    const auto x = parameter("x");
    const Function function = decompose(Function({defined(x, fourth_power)}, {x}), element::f64);
    for (const std::shared_ptr<Node>& node : function.nodes()) {
        EXPECT_NE(node->type_name(), "Defined");
    }
    EXPECT_EQ(function.nodes().size(), 3U);
}

TEST(DefinedOp, WithoutADecompositionIsNamed) {
    const auto x = parameter("x");
    const Function function({defined(x, nullptr)}, {x});
    EXPECT_EQ(message_of<std::invalid_argument>([&] { differentiate(function, {x}); }),
              "Defined 'square' has no derivative");
    for (const runtime::Backend backend : backends) {
        EXPECT_EQ(
            message_of<std::invalid_argument>([&] { runtime::Executable(function, backend); }),
            "no kernel computes Defined 'square', which has no decomposition");
    }
}

TEST(DefinedOp, ADecompositionIsOfTheNodesTypes) {
    const auto x = parameter("x");
    const auto wrong = [&](Defined::Definition definition) {
        const Function function({defined(x, std::move(definition))}, {x});
        const std::string of_gradients =
            message_of<std::invalid_argument>([&] { differentiate(function, {x}); });
        const std::string of_stages =
            message_of<std::invalid_argument>([&] { decompose(function, element::f64); });
        return std::pair(of_gradients, of_stages);
    };
    EXPECT_EQ(
        wrong([](const Output& value) { return std::vector{value, value}; }),
        std::pair(std::string("the decomposition of Defined 'square': expected 1 value, got 2"),
                  std::string("the replacement of Defined 'square': expected 1 value, got 2")));
    EXPECT_EQ(wrong([](const Output& value) { return std::vector{op::sum(value, {})}; }).first,
              "the decomposition of Defined 'square': expected f32{3} for its output result, got "
              "f32{}");
}

TEST(DefinedOp, ADecompositionComesToAnEnd) {
    const auto x = parameter("x");
    const Function function({defined(x, endless)}, {x});
    const std::string expected =
        "Defined 'square': expected a decomposition into simpler nodes, got 64 inside of each "
        "other";
    EXPECT_EQ(message_of<std::invalid_argument>([&] { differentiate(function, {x}); }), expected);
    EXPECT_EQ(message_of<std::invalid_argument>([&] { decompose(function, element::f64); }),
              expected);
    EXPECT_EQ(message_of<std::invalid_argument>(
                  [&] { runtime::Executable(function, runtime::Backend::cpu); }),
              expected);
}

/// Returns more adjoints than it has inputs.
class WithTwoAdjoints final : public IdentityNode {
public:
    explicit WithTwoAdjoints(const Output& value, const std::string& friendly_name = "two")
        : IdentityNode(value, friendly_name) {
        validate_and_infer_types();
    }
    std::string_view type_name() const noexcept override { return "WithTwoAdjoints"; }

private:
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const override {
        return std::make_shared<WithTwoAdjoints>(inputs[0], friendly_name);
    }
    Deltas make_adjoints(const Deltas& deltas) override { return {deltas[0], deltas[0]}; }
};

TEST(DefinedOp, HasOneAdjointPerInput) {
    const auto x = parameter("x");
    const Function function({std::make_shared<WithTwoAdjoints>(x)}, {x});
    EXPECT_EQ(message_of<std::invalid_argument>([&] { differentiate(function, {x}); }),
              "WithTwoAdjoints 'two' has 1 input, got 2 adjoints");
}

}  // namespace
}  // namespace normgraph::pass
