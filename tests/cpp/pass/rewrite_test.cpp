#include "normgraph/pass/rewrite.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../message_of.hpp"
#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/expressions.hpp"
#include "normgraph/pass/pattern.hpp"
#include "normgraph/pass/replace_matches.hpp"
#include "parameter.hpp"

namespace normgraph::pass {
namespace {

using namespace op;  // formulas of nodes: left + right, −value

using Values = std::optional<std::vector<Output>>;

TEST(Rewrite, SharesWhatNeedsNoChange) {
    const auto x = parameter("x");
    const Output kept = -Output(x);
    const Output changed = kept + Output(x);
    const Function function({kept, changed * kept}, {x}, "f");
    const Function same =
        rewrite(function, [](Node&, Node&, const NewValues&) { return Values(); });
    EXPECT_EQ(same.results(), function.results());
    EXPECT_EQ(same.friendly_name(), "f");

    const Function other =
        rewrite(function, [&](Node& original, Node& node, const NewValues& values) -> Values {
            if (&original == changed.node().get()) {
                EXPECT_EQ(values.of(kept), kept);
                EXPECT_EQ(&original, &node);
                return std::vector{values.of(kept) - Output(x)};
            }
            return std::nullopt;
        });
    EXPECT_EQ(other.results()[0], kept);
    EXPECT_EQ(other.results()[1].node()->input_values()[0].node()->type_name(), "Subtract");
    EXPECT_EQ(other.results()[1].node()->input_values()[1], kept);
    EXPECT_EQ(function.results()[1].node()->input_values()[0], changed);  // as it was
}

TEST(Rewrite, RefusesWhatCannotStandForANode) {
    const auto x = parameter("x", {4, 3});
    const auto gamma = parameter("gamma");
    const auto norm =
        std::make_shared<op::BatchNormTraining>(x, gamma, gamma, 1e-5, 1, std::nullopt, "norm");
    const Function function({norm->output(0)}, {x, gamma});
    const auto with = [&](std::vector<Output> values) {
        return message_of<std::invalid_argument>([&] {
            rewrite(function, [&](Node& original, Node&, const NewValues&) {
                return &original == norm.get() ? Values(values) : std::nullopt;
            });
        });
    };
    EXPECT_EQ(with({x, gamma}),
              "the replacement of BatchNormTraining 'norm': expected 3 values, got 2");
    EXPECT_EQ(with({x, gamma, x}),
              "the replacement of BatchNormTraining 'norm': expected f32{3} for its output "
              "variance, got f32{4,3}");
    EXPECT_EQ(with({op::convert(x, element::f64), gamma, gamma}),
              "the replacement of BatchNormTraining 'norm': expected f32{4,3} for its output "
              "normalized, got f64{4,3}");
    EXPECT_EQ(with({x, gamma, gamma}), "nothing was thrown");
}

TEST(Rewrite, KnowsValuesUpToTheNode) {
    const auto x = parameter("x");
    const Output first = -Output(x);
    const Output second = -first;
    const Function function({second}, {x});
    const auto replacement = [&](Node& original, Node&, const NewValues& values) -> Values {
        return &original == first.node().get() ? Values(std::vector{values.of(second)})
                                               : std::nullopt;
    };
    EXPECT_NE(message_of<std::invalid_argument>([&] {
                  rewrite(function, replacement);
              }).find("gone through"),
              std::string::npos);
}

TEST(ReplaceValues, ReadersReadTheNewOnes) {
    const auto x = parameter("x");
    const auto y = parameter("y");
    const Output negative = -Output(x);
    const Function function({negative, negative + Output(x)}, {x, y});
    const Output doubled = negative + negative;
    // Each at once: what y becomes is not replaced in turn.
    const Function replaced =
        replace_values(function, {{negative, doubled}, {Output(x), Output(y)}});
    EXPECT_EQ(replaced.results()[0], doubled);
    EXPECT_EQ(replaced.results()[1].node()->input_values(), (std::vector<Output>{doubled, y}));
    EXPECT_EQ(replaced.parameters(), function.parameters());
    EXPECT_EQ(message_of<std::invalid_argument>([&] {
                  replace_values(function, {{doubled, negative}});
              }).starts_with("replaced: expected values of 'Function_"),
              true);
}

TEST(Pattern, MatchesOpsAndWhatTheyRead) {
    const auto x = parameter("x");
    const auto y = parameter("y");
    const Output sum = Output(x) + -Output(y);
    const Pattern any_left = Pattern::any("left");
    const Pattern pattern =
        Pattern::op<op::Add>({any_left, Pattern::op<op::Negate>({Pattern::any("right")})})
            .named("sum");
    const std::optional<Match> match = pattern.match(sum);
    ASSERT_TRUE(match.has_value());
    EXPECT_EQ((*match)["left"], Output(x));
    EXPECT_EQ((*match)["right"], Output(y));
    EXPECT_EQ(match->names(), (std::vector<std::string>{"left", "right", "sum"}));
    EXPECT_EQ(&match->node<op::Add>("sum"), sum.node().get());
    EXPECT_THROW(match->node<op::Negate>("sum"), std::invalid_argument);
    EXPECT_THROW((*match)["other"], std::invalid_argument);
    EXPECT_FALSE(pattern.match(Output(x) + Output(y)).has_value());
    EXPECT_FALSE(pattern.match(Output(x) - -Output(y)).has_value());
    EXPECT_TRUE(Pattern::op<op::Add>().match(sum).has_value());
    EXPECT_FALSE(Pattern::op<op::Add>({any_left}).match(sum).has_value());
}

TEST(Pattern, OneNameIsOneValue) {
    const auto x = parameter("x");
    const auto y = parameter("y");
    const Pattern square = Pattern::op<op::Multiply>({Pattern::any("x"), Pattern::any("x")});
    EXPECT_TRUE(square.match(Output(x) * Output(x)).has_value());
    EXPECT_FALSE(square.match(Output(x) * Output(y)).has_value());
}

TEST(Pattern, TheSecondAlternativeIsFreeOfTheFirst) {
    const auto x = parameter("x");
    const auto y = parameter("y");
    const Pattern negative = Pattern::op<op::Negate>({Pattern::any("value")});
    const Pattern sum = Pattern::op<op::Add>({Pattern::any("other"), negative}) |
                        Pattern::op<op::Add>({negative, Pattern::any("other")});
    const std::optional<Match> match = sum.match(-Output(x) + Output(y));
    ASSERT_TRUE(match.has_value());
    EXPECT_EQ((*match)["value"], Output(x));
    EXPECT_EQ((*match)["other"], Output(y));
    EXPECT_FALSE(sum.match(Output(x) + Output(y)).has_value());
}

TEST(Pattern, ChoosesAnOutput) {
    const auto x = parameter("x", {4, 3});
    const auto gamma = parameter("gamma");
    const auto norm = std::make_shared<op::BatchNormTraining>(x, gamma, gamma, 1e-5);
    const Pattern pattern = Pattern::op<op::BatchNormTraining>();
    EXPECT_TRUE(pattern.match(norm->output(0)).has_value());
    EXPECT_FALSE(pattern.match(norm->output(1)).has_value());
    EXPECT_TRUE(pattern.output("mean").match(norm->output(1)).has_value());
    EXPECT_FALSE(pattern.output("mean").match(norm->output(0)).has_value());
}

TEST(Pattern, KnowsOptionalInputs) {
    const auto x = parameter("x");
    const Pattern any = Pattern::any();
    EXPECT_TRUE(Pattern::op<op::Negate>({any, any.optional()}).match(-Output(x)).has_value());
    EXPECT_FALSE(Pattern::op<op::Negate>({any, any}).match(-Output(x)).has_value());
    const Pattern binary = Pattern::op<op::Add>({any, Pattern::op<op::Negate>().optional()});
    EXPECT_TRUE(binary.match(Output(x) + -Output(x)).has_value());
    EXPECT_FALSE(binary.match(Output(x) + Output(x)).has_value());
}

TEST(Pattern, CountsUsers) {
    const auto x = parameter("x");
    const Output shared = -Output(x);
    const Output single = -shared;
    const Function function({single, shared}, {x});
    const Users users(function);
    const Pattern pattern = Pattern::op<op::Negate>().with_single_user();
    EXPECT_TRUE(pattern.match(single, &users).has_value());
    EXPECT_FALSE(pattern.match(shared, &users).has_value());
    EXPECT_NE(
        message_of<std::invalid_argument>([&] { pattern.match(single); }).find("users: expected"),
        std::string::npos);
}

TEST(Pattern, AsksConditions) {
    const auto x = parameter("x");
    const Output bounded = std::make_shared<op::Relu>(x, 6.0);
    const auto has_bound = [](const Output& value) {
        return dynamic_cast<const op::Relu&>(*value.node()).upper_bound().has_value();
    };
    EXPECT_TRUE(Pattern::op<op::Relu>().where(has_bound).match(bounded).has_value());
    EXPECT_FALSE(Pattern::op<op::Relu>()
                     .where(has_bound)
                     .match(Output(std::make_shared<op::Relu>(x)))
                     .has_value());
}

TEST(Pattern, IsOfBoundedSize) {
    Pattern pattern = Pattern::any();
    for (int depth = 1; depth < 100; ++depth) {
        pattern = Pattern::op<op::Negate>({pattern});
    }
    EXPECT_EQ(message_of<std::invalid_argument>([&] { Pattern::op<op::Negate>({pattern}); }),
              "pattern: expected one nested at most 100 deep, got a deeper one");
    EXPECT_THROW(pattern | pattern, std::invalid_argument);
}

TEST(Pattern, AlternativesWithinAlternativesEnd) {
    const auto x = parameter("x");
    Output value = x;
    Pattern pattern = Pattern::op<op::Add>();
    for (int depth = 0; depth < 40; ++depth) {
        value = -value;
        pattern = Pattern::op<op::Negate>({pattern}) | Pattern::op<op::Negate>({pattern});
    }
    EXPECT_NE(message_of<std::invalid_argument>([&] {
                  pattern.match(value);
              }).find("alternatives within alternatives"),
              std::string::npos);
}

TEST(ReplaceMatches, MatchesMayOverlap) {
    const auto x = parameter("x");
    const Output first = std::make_shared<op::Relu>(x);
    const Output second = std::make_shared<op::Relu>(first);
    const Output third = std::make_shared<op::Relu>(second);
    const Pattern twice =
        Pattern::op<op::Relu>({Pattern::op<op::Relu>({Pattern::any("x")}).named("once")});
    const Function replaced =
        replace_matches(Function({third, second}, {x}), twice,
                        [](const Match& match) { return std::optional(match["once"]); });
    EXPECT_EQ(replaced.results(), (std::vector<Output>{first, first}));
}

/// What is asked for a name has the new value, the original, and the node's own value.
TEST(ReplaceMatches, KnowsOldAndNewValues) {
    const auto x = parameter("x");
    const Output inner = std::make_shared<op::Relu>(x);
    const Output outer = -inner;
    const Pattern pattern = Pattern::op<op::Negate>({Pattern::any("inner")}).named("outer") |
                            Pattern::op<op::Relu>({Pattern::any("x")});
    const Function replaced = replace_matches(
        Function({outer}, {x}), pattern, [&](const Match& match) -> std::optional<Output> {
            if (match.contains("x")) {
                return match["x"];
            }
            EXPECT_EQ(match.original("inner"), inner);
            EXPECT_EQ(match["inner"], Output(x));
            EXPECT_EQ(match.original("outer"), outer);
            EXPECT_EQ(match["outer"].node()->input_values(), std::vector<Output>{x});
            return std::nullopt;
        });
    EXPECT_EQ(replaced.results()[0].node()->input_values(), std::vector<Output>{x});
}

/// A chain as deep as no stack is.
TEST(ReplaceMatches, OfADeepFunction) {
    constexpr std::size_t depth = 100'000;
    const auto x = parameter("x");
    Output last = x;
    for (std::size_t index = 0; index < depth; ++index) {
        last = std::make_shared<op::Relu>(last);
    }
    const Function function({std::exchange(last, x)}, {x});
    const Pattern twice =
        Pattern::op<op::Relu>({Pattern::op<op::Relu>({Pattern::any("x")}).with_single_user()});
    const Function replaced = replace_matches(function, twice, [](const Match& match) {
        return std::optional<Output>(std::make_shared<op::Relu>(match["x"]));
    });
    EXPECT_EQ(replaced.nodes().size(), depth / 2 + 1);
    EXPECT_EQ(
        replace_values(replaced, {{replaced.nodes()[1]->output(0), Output(x)}}).nodes().size(),
        depth / 2);
}

}  // namespace
}  // namespace normgraph::pass
