#include "normgraph/kernel/layout.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace normgraph::kernel {
namespace {

using Lengths = std::vector<std::int64_t>;

Problem problem(const Lengths& shape, std::int64_t channel_axis) {
    return {shape, channel_axis, ElementType::f32, ElementType::f32, 0.0};
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

TEST(View, MergesAxesThatAllTensorsStepThroughAsOne) {
    const Lengths contiguous{420, 140, 28, 4};
    const Lengths shape{2, 3, 5, 7};
    const View merged = make_view(problem(shape, 1), {contiguous, contiguous, {}});
    ASSERT_EQ(merged.axis_count, 2U);
    EXPECT_EQ(merged.axes[0].length, 2);
    EXPECT_EQ(merged.axes[1].length, 35);
    EXPECT_EQ(merged.axes[1].strides[0], 4);
    EXPECT_EQ(merged.channel_strides[0], 140);
    EXPECT_EQ(merged.channel_strides[2], 0);

    const Lengths sliced{840, 280, 56, 4};
    for (std::size_t tensor = 0; tensor < 3; ++tensor) {
        std::array<std::span<const std::int64_t>, 3> strides{contiguous, contiguous, contiguous};
        strides[tensor] = sliced;
        const View apart = make_view(problem(shape, 1), strides);
        EXPECT_EQ(apart.axis_count, 3U) << "tensor " << tensor << " is sliced";
    }
}

TEST(View, OfOneElementPerChannelHasOneAxis) {
    const Lengths strides{12, 4};
    const Lengths shape{1, 3};
    const View view = make_view(problem(shape, 1), {strides, {}, {}});
    ASSERT_EQ(view.axis_count, 1U);
    EXPECT_EQ(view.axes[0].length, 1);
}

TEST(ElementWalker, VisitsElementsInLogicalOrder) {
    const Lengths shape{2, 3, 4, 5};
    const Lengths first{240, 80, 20, 4};
    const Lengths last{-480, 8, 120, -24};
    const View view = make_view(problem(shape, 1), {first, last, {}});
    ElementWalker<2> walker(view);
    for (std::int64_t n = 0; n < 2; ++n) {
        for (std::int64_t row = 0; row < 4; ++row) {
            for (std::int64_t column = 0; column < 5; ++column) {
                ASSERT_EQ(walker.offset(0), n * 240 + row * 20 + column * 4);
                ASSERT_EQ(walker.offset(1), n * -480 + row * 120 + column * -24);
                walker.advance();
            }
        }
    }
}

}  // namespace
}  // namespace normgraph::kernel
