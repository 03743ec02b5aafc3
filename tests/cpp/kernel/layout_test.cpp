#include "normgraph/kernel/layout.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace normgraph::kernel {
namespace {

using Lengths = std::vector<std::int64_t>;

Problem problem(const Lengths& shape, std::int64_t channel_axis) {
    constexpr ElementType type = ElementType::f32;
    return {shape, channel_axis, type, type, type, 0.0};
}

LayoutClass class_of(const Lengths& shape, std::int64_t channel_axis, const Lengths& strides) {
    return layout_class_of(problem(shape, channel_axis), strides);
}

TEST(LayoutClass, FollowsTheChannelStride) {
    EXPECT_EQ(class_of({2, 3, 5, 7}, 1, {420, 140, 28, 4}), LayoutClass::channels_first);
    EXPECT_EQ(class_of({2, 3, 5, 7}, 1, {420, 4, 84, 12}), LayoutClass::channels_last);
    EXPECT_EQ(class_of({2, 5, 7, 3}, 3, {420, 84, 12, 4}), LayoutClass::channels_last);
    EXPECT_EQ(class_of({2, 5, 7, 3}, 3, {420, 84, 12, -4}), LayoutClass::channels_last);
    EXPECT_EQ(class_of({8, 3}, 1, {12, 4}), LayoutClass::channels_last);
    EXPECT_EQ(class_of({8, 3}, 1, {4, 32}), LayoutClass::channels_first);
    EXPECT_EQ(class_of({8, 3}, 1, {4, -4}), LayoutClass::channels_first);
}

TEST(LayoutClass, IgnoresAxesOfLengthOneAndZeroStrides) {
    EXPECT_EQ(class_of({8, 3, 1, 1}, 1, {12, 4, 4, 4}), LayoutClass::channels_last);
    EXPECT_EQ(class_of({8, 3, 9}, 1, {12, 4, 0}), LayoutClass::channels_last);
    EXPECT_EQ(class_of({8, 3, 9}, 1, {36, 0, 4}), LayoutClass::channels_first);
    EXPECT_EQ(class_of({1, 3}, 1, {4, 4}), LayoutClass::channels_last);
}

TEST(LayoutClass, OfOneChannelIsChannelsFirst) {
    EXPECT_EQ(class_of({8, 1}, 1, {4, 4}), LayoutClass::channels_first);
    EXPECT_EQ(class_of({8, 1}, 1, {12, 4}), LayoutClass::channels_first);
    EXPECT_EQ(class_of({8, 1, 5}, 1, {60, 4, 12}), LayoutClass::channels_first);
}

}  // namespace
}  // namespace normgraph::kernel
