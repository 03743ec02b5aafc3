#include "normgraph/kernel/moments.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace normgraph::kernel {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(Moments, AreThoseOfTheShiftedSums) {
    // 5, 6, 7 and 10 about 5: Σ 8, Σ² 30.
    const Moments moments = moments_from_sums(5.0, 8.0, 30.0, 4);
    EXPECT_EQ(moments.mean, 7.0);
    EXPECT_EQ(moments.variance, 3.5);
}

TEST(Moments, HaveNoVarianceBelowZero) {
    // Five times 5.3 about 0, the sums as they are rounded.
    const double sum = 26.5;
    const double sum_of_squares = 140.45;
    ASSERT_LT(sum_of_squares / 5 - (sum / 5) * (sum / 5), 0.0);
    EXPECT_EQ(moments_from_sums(0.0, sum, sum_of_squares, 5).variance, 0.0);
}

TEST(Moments, OfNaNAreNaN) {
    EXPECT_TRUE(std::isnan(moments_from_sums(0.0, nan, nan, 3).mean));
    EXPECT_TRUE(std::isnan(moments_from_sums(0.0, nan, nan, 3).variance));
    EXPECT_TRUE(std::isnan(moments_from_sums(0.0, infinity, infinity, 3).variance));
}

TEST(UsableShift, IsFinite) {
    EXPECT_EQ(usable_shift(-2.5), -2.5);
    EXPECT_EQ(usable_shift(infinity), 0.0);
    EXPECT_EQ(usable_shift(-infinity), 0.0);
    EXPECT_EQ(usable_shift(nan), 0.0);
}

}  // namespace
}  // namespace normgraph::kernel
