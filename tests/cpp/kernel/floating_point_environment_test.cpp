#include "normgraph/kernel/threads/floating_point_environment.hpp"

#include <gtest/gtest.h>

#include <cfenv>
#include <limits>

namespace normgraph::kernel {
namespace {

// Volatile operands, so that the operations are made at run time, in the mode of that moment.
double third() {
    const volatile double one = 1.0;
    const volatile double three = 3.0;
    const volatile double quotient = one / three;
    return quotient;
}

TEST(DefaultFloatingPointEnvironment, RoundsToNearestAndRestoresTheMode) {
    const double nearest = third();
    std::fesetround(FE_UPWARD);
    const double upward = third();
    double inside = 0.0;
    {
        const DefaultFloatingPointEnvironment environment;
        inside = third();
    }
    const double after = third();
    std::fesetround(FE_TONEAREST);
    EXPECT_NE(upward, nearest);
    EXPECT_EQ(inside, nearest);
    EXPECT_EQ(after, upward);
}

TEST(DefaultFloatingPointEnvironment, RestoresTheFlags) {
    std::feclearexcept(FE_ALL_EXCEPT);
    {
        const DefaultFloatingPointEnvironment environment;
        third();
        EXPECT_NE(std::fetestexcept(FE_INEXACT), 0);
    }
    EXPECT_EQ(std::fetestexcept(FE_ALL_EXCEPT), 0) << "what happens inside does not show";
    std::feraiseexcept(FE_DIVBYZERO);
    {
        const DefaultFloatingPointEnvironment environment;
    }
    EXPECT_NE(std::fetestexcept(FE_DIVBYZERO), 0) << "what was raised before stays";
    std::feclearexcept(FE_ALL_EXCEPT);
}

#if defined(__x86_64__) || defined(_M_X64)
TEST(DefaultFloatingPointEnvironment, KeepsDenormals) {
    constexpr unsigned int flush_and_read_as_zero = 0x8040;
    const auto half = [](double value) {
        const volatile double operand = value;
        const volatile double result = operand * 0.5;
        return result;
    };
    const double tiny = std::numeric_limits<double>::min();
    const unsigned int before = _mm_getcsr();
    _mm_setcsr(before | flush_and_read_as_zero);
    const double flushed = half(tiny);
    double inside = 0.0;
    {
        const DefaultFloatingPointEnvironment environment;
        inside = half(tiny);
    }
    const unsigned int after = _mm_getcsr();
    _mm_setcsr(before);
    EXPECT_EQ(flushed, 0.0);
    EXPECT_EQ(inside, tiny * 0.5);
    EXPECT_EQ(after & flush_and_read_as_zero, flush_and_read_as_zero);
}
#endif

}  // namespace
}  // namespace normgraph::kernel
