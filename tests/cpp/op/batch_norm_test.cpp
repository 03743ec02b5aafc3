#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "normgraph/ir/parameter.hpp"
#include "normgraph/op/batch_norm_inference.hpp"
#include "normgraph/op/batch_norm_inference_backprop.hpp"
#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/batch_norm_training_backprop.hpp"
#include "normgraph/op/batch_norm_training_relu.hpp"
#include "normgraph/op/batch_norm_training_relu_backprop.hpp"

namespace normgraph::op {
namespace {

const TensorType images{element::bf16, {2, 64, Dimension::dynamic()}};
const TensorType channels{element::f32, {64}};
const TensorType unknown{element::dynamic, PartialShape::dynamic()};

std::vector<std::string> labels(const NodeValidationFailure& failure) {
    std::vector<std::string> all;
    for (const Violation& violation : failure.violations()) {
        all.push_back(violation.label);
    }
    return all;
}

TEST(BatchNorm, InfersTheTypesOfAllOutputs) {
    EXPECT_EQ(BatchNormTraining::infer({images, channels, unknown}, 1e-5, 1),
              (std::vector<TensorType>{images, channels, channels}));
    EXPECT_EQ(BatchNormInference::infer({images, unknown, unknown, unknown, channels}, 1e-5, 1),
              (std::vector<TensorType>{images}));
    EXPECT_EQ(BatchNormTrainingBackprop::infer(
                  {unknown, unknown, channels, unknown, unknown, images}, 1e-5, -2),
              (std::vector<TensorType>{images, channels, channels}));
    EXPECT_EQ(BatchNormInferenceBackprop::infer(
                  {images, channels, unknown, unknown, unknown, unknown}, 1e-5, 1),
              (std::vector<TensorType>{images, channels, channels}));
    const TensorType mask{element::u8, {2, 64, Dimension::dynamic()}};
    EXPECT_EQ(BatchNormTrainingRelu::infer({images, unknown, channels}, 1e-5, 1),
              (std::vector<TensorType>{images, channels, channels, mask}));
    EXPECT_EQ(BatchNormTrainingReluBackprop::infer(
                  {unknown, unknown, channels, unknown, unknown, mask, images}, 1e-5, -2),
              (std::vector<TensorType>{images, channels, channels}));
}

TEST(BatchNorm, ListsEveryViolatedConstraint) {
    try {
        BatchNormTrainingBackprop::infer({{element::i32, {2, 64}},
                                          channels,
                                          {element::f64, {32}},
                                          {element::f32, {}},
                                          unknown,
                                          {element::f32, {2}}},
                                         std::numeric_limits<double>::quiet_NaN(), 2);
        FAIL() << "an invalid op was accepted";
    } catch (const NodeValidationFailure& failure) {
        EXPECT_EQ(labels(failure),
                  (std::vector<std::string>{"C1", "C2", "C3", "C4", "C6", "C7", "C8", "C9"}));
        EXPECT_TRUE(std::string(failure.what())
                        .starts_with("BatchNormTrainingBackprop is not valid, 8 constraints are "
                                     "violated:\n  [C1] epsilon: "))
            << failure.what();
    }
}

TEST(BatchNorm, TakesAsManyInputsAsItNames) {
    EXPECT_THROW(BatchNormTraining::infer({images, channels}, 1e-5, 1), std::invalid_argument);
    EXPECT_THROW(BatchNormInference::infer({}, 1e-5, 1), std::invalid_argument);
}

TEST(BatchNorm, TakesWhereBehindTheOtherInputs) {
    const TensorType where{element::boolean, {2, 1, Dimension::dynamic()}};
    EXPECT_EQ(BatchNormTraining::infer({images, channels, unknown, where}, 1e-5, 1),
              (std::vector<TensorType>{images, channels, channels}));
    EXPECT_THROW(BatchNormTraining::infer({images, channels, unknown, where, where}, 1e-5, 1),
                 std::invalid_argument);
    EXPECT_THROW(
        BatchNormInference::infer({images, unknown, unknown, unknown, channels, where}, 1e-5, 1),
        std::invalid_argument);
    try {
        BatchNormTraining::infer({images, channels, channels, {element::u8, {2, 7}}}, 1e-5, 1);
        FAIL() << "an invalid mask was accepted";
    } catch (const NodeValidationFailure& failure) {
        EXPECT_EQ(labels(failure), (std::vector<std::string>{"C16", "C17"}));
    }
}

TEST(BatchNorm, KnowsWhereByTheNumberOfItsInputs) {
    const auto x = std::make_shared<Parameter>(element::f32, PartialShape{2, 3, 4}, "x");
    const auto gamma = std::make_shared<Parameter>(element::f32, PartialShape{3}, "gamma");
    const auto where = std::make_shared<Parameter>(element::boolean, PartialShape{2, 1, 4}, "w");
    const auto plain = std::make_shared<BatchNormTraining>(x, gamma, gamma, 1e-5);
    EXPECT_EQ(plain->where(), std::nullopt);
    EXPECT_EQ(plain->input_names().size(), 3U);
    const auto masked = std::make_shared<BatchNormTraining>(x, gamma, gamma, 1e-5, 1, std::nullopt,
                                                            "masked", where);
    EXPECT_EQ(masked->where(), Output(where));
    EXPECT_EQ(masked->input_names().back(), "where");
    EXPECT_EQ(masked->input_role(3), Role::where);
    const auto clone = masked->clone_with_new_inputs({x, gamma, gamma, where}, "clone");
    EXPECT_EQ(static_cast<const BatchNormNode&>(*clone).where(), Output(where));
    EXPECT_THROW(masked->clone_with_new_inputs({x, gamma, gamma}), std::invalid_argument);
    EXPECT_THROW(plain->clone_with_new_inputs({x, gamma, gamma, where}), std::invalid_argument);
    const auto wide = masked->with_statistics_type(element::f64);
    EXPECT_EQ(static_cast<const BatchNormNode&>(*wide).where(), Output(where));
    EXPECT_THROW(BatchNormInference(x, gamma, gamma, gamma, gamma, 1e-5, 1, "", where),
                 std::invalid_argument);
}

TEST(BatchNorm, NodeNamesItselfInTheMessage) {
    const auto x = std::make_shared<Parameter>(element::f32, PartialShape{2, 3}, "x");
    const auto gamma = std::make_shared<Parameter>(element::f32, PartialShape{4}, "gamma");
    try {
        const BatchNormTraining node(x, gamma, gamma, 1e-5, 1, std::nullopt, "bn");
        FAIL() << "an invalid node was accepted";
    } catch (const NodeValidationFailure& failure) {
        EXPECT_STREQ(failure.what(),
                     "BatchNormTraining 'bn' is not valid, 1 constraint is violated:\n"
                     "  [C9] the number of channels differs: input has 3 (axis 1 of {2,3}), "
                     "gamma and beta have 4");
    }
}

TEST(BatchNorm, SetterOfEpsilonKeepsTheOldValue) {
    const auto x = std::make_shared<Parameter>(element::f32, PartialShape{2, 3}, "x");
    const auto gamma = std::make_shared<Parameter>(element::f32, PartialShape{3}, "gamma");
    BatchNormTraining node(x, gamma, gamma, 0.25);
    EXPECT_THROW(node.set_epsilon(-1.0), NodeValidationFailure);
    EXPECT_EQ(node.epsilon(), 0.25);
}

}  // namespace
}  // namespace normgraph::op
