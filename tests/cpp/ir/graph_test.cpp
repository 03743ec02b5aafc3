#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "normgraph/ir/constant.hpp"
#include "normgraph/ir/function.hpp"
#include "normgraph/ir/parameter.hpp"
#include "normgraph/op/batch_norm_training.hpp"

namespace normgraph {
namespace {

std::shared_ptr<Parameter> vector_of(std::int64_t length, const std::string& name) {
    return std::make_shared<Parameter>(element::f32, PartialShape{length}, name);
}

std::shared_ptr<Parameter> batch() {
    return std::make_shared<Parameter>(element::f32, PartialShape{Dimension::dynamic(), 4}, "x");
}

TEST(Output, IsImplicitForANodeWithExactlyOne) {
    const auto x = batch();
    EXPECT_EQ(Output(x), x->output(0));
    const auto node = std::make_shared<op::BatchNormTraining>(x, vector_of(4, "gamma"),
                                                              vector_of(4, "beta"), 1e-5);
    EXPECT_THROW(Output{node}, std::invalid_argument);
    EXPECT_THROW(node->output(3), std::out_of_range);
    EXPECT_THROW(node->output("delta"), std::invalid_argument);
    EXPECT_THROW(Output(std::shared_ptr<Node>(), 0), std::invalid_argument);
    EXPECT_EQ(node->output("mean").index(), 1U);
    EXPECT_EQ(node->input("gamma").source().node()->friendly_name(), "gamma");
}

TEST(Constant, KeepsItsBytesAndClonesShareThem) {
    const std::vector<float> values{1.0F, -0.0F, 2.5F};
    std::vector<std::byte> bytes(sizeof(float) * values.size());
    std::memcpy(bytes.data(), values.data(), bytes.size());
    const auto constant = std::make_shared<Constant>(element::f32, PartialShape{3}, bytes);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), constant->data().begin()));
    const auto clone = std::dynamic_pointer_cast<Constant>(constant->clone_with_new_inputs({}));
    ASSERT_NE(clone, nullptr);
    EXPECT_EQ(clone->data().data(), constant->data().data());
    EXPECT_THROW(Constant(element::f32, PartialShape{2}, bytes), std::invalid_argument);
    EXPECT_THROW(Constant(element::f32, PartialShape::dynamic(1), bytes), std::invalid_argument);
}

TEST(Node, OfADeepGraphIsReleasedWithoutRecursion) {
    // A recursive release takes several calls per node, more than 100 bytes: no stack is so large.
    constexpr int depth = 200'000;
    const auto gamma = vector_of(4, "gamma");
    const auto beta = vector_of(4, "beta");
    Output last = batch();
    for (int layer = 0; layer < depth; ++layer) {
        last = std::make_shared<op::BatchNormTraining>(last, gamma, beta, 1e-5)->output(0);
    }
    EXPECT_EQ(last.partial_shape().to_string(), "{?,4}");
    last = gamma;
    EXPECT_EQ(gamma.use_count(), 2);
}

TEST(Function, ListsNodesAfterTheirInputs) {
    const auto x = batch();
    const auto gamma = vector_of(4, "gamma");
    const auto beta = vector_of(4, "beta");
    const auto node =
        std::make_shared<op::BatchNormTraining>(x, gamma, beta, 0.5, 1, std::nullopt, "bn");
    const Function function({node->output("normalized")}, {x, gamma, beta}, "f");
    EXPECT_EQ(function.to_string(),
              "Function 'f'\n"
              "  x = Parameter() -> (f32{?,4})\n"
              "  gamma = Parameter() -> (f32{4})\n"
              "  beta = Parameter() -> (f32{4})\n"
              "  bn = BatchNormTraining(x, gamma, beta) [epsilon=0.5, channel_axis=1]"
              " -> (f32{?,4}, f32{4}, f32{4})\n"
              "  return bn.normalized");
    EXPECT_THROW(Function({node->output(0)}, {x, gamma}), std::invalid_argument);
    EXPECT_THROW(Function({node->output(0)}, {x, gamma, beta, x}), std::invalid_argument);
    EXPECT_THROW(Function({node->output(0)}, {x, gamma, beta, nullptr}), std::invalid_argument);
    EXPECT_THROW(Function({}, {x}), std::invalid_argument);
}

TEST(Function, ValidationIsAllOrNothing) {
    const auto x = batch();
    const auto gamma = vector_of(4, "gamma");
    const auto beta = vector_of(4, "beta");
    const auto node = std::make_shared<op::BatchNormTraining>(x, gamma, beta, 0.5);
    Function function({node->output(0)}, {x, gamma, beta});
    x->set_partial_shape({8, 4});
    beta->set_partial_shape({5});
    EXPECT_THROW(function.validate_nodes_and_infer_types(), NodeValidationFailure);
    EXPECT_EQ(x->output(0).partial_shape(), (PartialShape{Dimension::dynamic(), 4}));
    beta->set_partial_shape({4});
    function.validate_nodes_and_infer_types();
    EXPECT_EQ(node->output(0).partial_shape(), (PartialShape{8, 4}));
}

}  // namespace
}  // namespace normgraph
