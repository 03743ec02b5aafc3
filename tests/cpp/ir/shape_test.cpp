#include <gtest/gtest.h>

#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>

#include "normgraph/ir/tensor_type.hpp"

namespace normgraph {
namespace {

template <typename Value>
std::string streamed(const Value& value) {
    std::ostringstream stream;
    stream << value;
    return stream.str();
}

TEST(ElementType, ParsesWhatItPrints) {
    for (const element::Type type : element::all_types()) {
        EXPECT_EQ(element::Type::parse(type.name()), type);
        EXPECT_EQ(streamed(type), type.name());
    }
    EXPECT_THROW(element::Type::parse("float32"), std::invalid_argument);
}

TEST(ElementType, MergesWithDynamicAndWithItself) {
    for (const element::Type left : element::all_types()) {
        for (const element::Type right : element::all_types()) {
            const std::optional<element::Type> merged = element::Type::merge(left, right);
            EXPECT_EQ(merged, element::Type::merge(right, left));
            const bool merges = left == right || left.is_dynamic() || right.is_dynamic();
            ASSERT_EQ(merged.has_value(), merges) << left << " and " << right;
            if (merges) {
                EXPECT_EQ(*merged, left.is_dynamic() ? right : left);
            }
        }
    }
}

TEST(Dimension, IsAnInterval) {
    EXPECT_TRUE(Dimension(4).is_static());
    EXPECT_EQ(Dimension(4).length(), 4);
    EXPECT_TRUE(Dimension(1, 8).is_dynamic());
    EXPECT_THROW(static_cast<void>(Dimension(1, 8).length()), std::domain_error);
    EXPECT_FALSE(Dimension::dynamic().has_upper_bound());
    EXPECT_EQ(Dimension::at_least(2).min_length(), 2);
    EXPECT_EQ(Dimension::merge(Dimension(1, 8), Dimension::at_least(4)), Dimension(4, 8));
    EXPECT_EQ(Dimension::merge(Dimension(1, 3), Dimension(4)), std::nullopt);
}

TEST(Dimension, RefusesWhatIsNoInterval) {
    EXPECT_THROW(Dimension(-1), std::invalid_argument);
    EXPECT_THROW(Dimension(5, 2), std::invalid_argument);
    EXPECT_THROW(Dimension(-1, 2), std::invalid_argument);
    EXPECT_THROW(Dimension{Dimension::unbounded}, std::invalid_argument);
    EXPECT_THROW(Dimension(Dimension::unbounded, Dimension::unbounded), std::invalid_argument);
}

TEST(PartialShape, Prints) {
    EXPECT_EQ(streamed(PartialShape{Dimension::dynamic(), 64, {1, 8}, Dimension::at_least(2)}),
              "{?,64,1..8,2..}");
    EXPECT_EQ(streamed(PartialShape{}), "{}");
    EXPECT_EQ(streamed(PartialShape::dynamic()), "?");
    EXPECT_EQ(streamed(PartialShape::dynamic(2)), "{?,?}");
    EXPECT_EQ(streamed(TensorType{element::bf16, {2, 3}}), "bf16{2,3}");
    EXPECT_EQ(streamed(TensorType{}), "dynamic?");
}

TEST(PartialShape, MergesAxisByAxis) {
    const PartialShape left{Dimension::dynamic(), {1, 8}};
    EXPECT_EQ(PartialShape::merge(left, {2, Dimension::at_least(4)}), (PartialShape{2, {4, 8}}));
    EXPECT_EQ(PartialShape::merge(left, PartialShape::dynamic()), left);
    EXPECT_EQ(PartialShape::merge(left, {2}), std::nullopt);
    EXPECT_EQ(PartialShape::merge(left, {2, 9}), std::nullopt);
}

TEST(PartialShape, OfDynamicRankHasNoAxes) {
    const PartialShape shape = PartialShape::dynamic();
    EXPECT_EQ(shape.rank(), Dimension::dynamic());
    EXPECT_THROW(static_cast<void>(shape.size()), std::domain_error);
    EXPECT_THROW(static_cast<void>(shape[0]), std::domain_error);
    EXPECT_THROW(static_cast<void>(PartialShape{2}[1]), std::out_of_range);
    EXPECT_EQ((PartialShape{2, 3}.with_dimension(1, 4)), (PartialShape{2, 4}));
}

}  // namespace
}  // namespace normgraph
