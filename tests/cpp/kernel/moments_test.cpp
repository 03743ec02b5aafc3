#include "normgraph/kernel/moments.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "baseline_table.hpp"
#include "normgraph/kernel/fused_multiply_add.hpp"

namespace normgraph::kernel {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(Moments, AreThoseOfTheShiftedSums) {
    // 5, 6, 7 and 10 about 5: Σ 8, Σ² 30.
    const Moments moments = moments_of_block(5.0, 8.0, 30.0, 4);
    EXPECT_EQ(moments.mean, 7.0);
    EXPECT_EQ(moments.squares, 14.0);
}

TEST(Moments, AreNeverBelowZero) {
    // Six times 1.2 about 0, the sums as they are rounded.
    const double sum = 7.2;
    const double sum_of_squares = 8.639999999999999;
    ASSERT_LT(sum_of_squares - sum * (sum / 6), 0.0);
    EXPECT_EQ(moments_of_block(0.0, sum, sum_of_squares, 6).squares, 0.0);
}

TEST(Moments, OfNaNAreNaN) {
    EXPECT_TRUE(std::isnan(moments_of_block(0.0, nan, nan, 3).mean));
    EXPECT_TRUE(std::isnan(moments_of_block(0.0, nan, nan, 3).squares));
    EXPECT_TRUE(std::isnan(moments_of_block(0.0, infinity, infinity, 3).squares));
}

/// The sums above, ordinary ones, and NaN, in different lanes of vectors.
TEST(Moments, OfManyChannelsAreThoseOfEach) {
    constexpr std::size_t channels = 16;
    std::vector<double> shifts, node(2 * channels);
    for (std::size_t channel = 0; channel < channels; ++channel) {
        const bool is_below_zero = channel % 3 == 1;
        shifts.push_back(is_below_zero ? 0.0 : 0.1 * static_cast<double>(channel));
        node[channel] = channel == 9 ? nan : is_below_zero ? 7.2 : 1.5;
        node[channels + channel] = is_below_zero ? 8.639999999999999 : 3.5;
    }
    const std::vector<double> sums = node;
    simd::baseline_table[ElementType::f32].make_moments(shifts.data(), node.data(),
                                                        static_cast<std::int64_t>(channels),
                                                        static_cast<std::int64_t>(channels), 6.0);
    for (std::size_t channel = 0; channel < channels; ++channel) {
        const Moments expected =
            moments_of_block(shifts[channel], sums[channel], sums[channels + channel], 6);
        if (std::isnan(expected.mean)) {
            EXPECT_TRUE(std::isnan(node[channel]) && std::isnan(node[channels + channel]));
        } else {
            EXPECT_EQ(node[channel], expected.mean) << channel;
            EXPECT_EQ(node[channels + channel], expected.squares) << channel;
        }
    }
}

TEST(Moments, AreMergedAsIfOfAll) {
    // 1 and 3; 5, 6, 7 and 10.
    const Moments all = merged({2.0, 2.0}, {7.0, 14.0}, MergeFactors(2, 4));
    EXPECT_NEAR(all.mean, 32.0 / 6, 1e-15);
    EXPECT_NEAR(all.squares, 220.0 - 32.0 * 32.0 / 6, 1e-13);
    const Moments equal = merged({5.3, 0.0}, {5.3, 0.0}, MergeFactors(3, 7));
    EXPECT_EQ(equal.mean, 5.3);
    EXPECT_EQ(equal.squares, 0.0);
}

TEST(ShiftOfBlock, IsAFiniteMedian) {
    EXPECT_EQ(shift_of_block(1.0, 3.0, 2.0), 2.0);
    EXPECT_EQ(shift_of_block(3.0, 2.0, 1.0), 2.0);
    EXPECT_EQ(shift_of_block(2.0, 1.0, 3.0), 2.0);
    EXPECT_EQ(shift_of_block(-2.5, -2.5, 1e30), -2.5);
    EXPECT_EQ(shift_of_block(infinity, 1.0, infinity), 0.0);
    EXPECT_EQ(shift_of_block(-infinity, -infinity, 1.0), 0.0);
    EXPECT_EQ(shift_of_block(infinity, 1.0, -infinity), 1.0);
}

TEST(FusedMultiplyAdd, RoundsOnce) {
    // (1 + 2^-12)² - 1 - 2^-11 is 2^-24, which the product rounded to float has lost; the same in
    // double with 2^-27. Integers say what is exact.
    const volatile float a = 1.0F + 0x1p-12F;
    const volatile double b = 1.0 + 0x1p-27;
    EXPECT_EQ(fused_multiply_add(a, a, -1.0F - 0x1p-11F), 0x1p-24F);
    EXPECT_EQ(fused_multiply_add(b, b, -1.0 - 0x1p-26), 0x1p-54);
    // Through double this would be rounded twice, to even at the end: (2^24 + 1)·(1 + 2^-23) + ….
    const volatile float x = 0x1.000002p0F, y = 0x1p-24F, z = 1.0F;
    EXPECT_EQ(fused_multiply_add(x, y, z), 0x1.000002p0F);
}

}  // namespace
}  // namespace normgraph::kernel
