#include "normgraph/kernel/element_type.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace normgraph::kernel {
namespace {

/// The value that a 16-bit pattern stands for, from the formats' definition.
double defined_value(std::uint32_t bits, int exponent_bits, int fraction_bits) {
    const std::uint32_t fraction = bits & ((1U << fraction_bits) - 1);
    const int exponent = static_cast<int>((bits >> fraction_bits) & ((1U << exponent_bits) - 1));
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const double sign = (bits & 0x8000U) != 0 ? -1.0 : 1.0;
    if (exponent == (1 << exponent_bits) - 1) {
        return fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                             : sign * std::numeric_limits<double>::infinity();
    }
    if (exponent == 0) {
        return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
    }
    return sign * std::ldexp(fraction + (1U << fraction_bits), exponent - bias - fraction_bits);
}

struct Float16Format {
    using Storage = float16;
    static constexpr int exponent_bits = 5, fraction_bits = 10;
    static float16 round(float value) { return to_float16(value); }
};
struct BFloat16Format {
    using Storage = bfloat16;
    static constexpr int exponent_bits = 8, fraction_bits = 7;
    static bfloat16 round(float value) { return to_bfloat16(value); }
};

template <typename Format>
class SixteenBitTypes : public ::testing::Test {
protected:
    static typename Format::Storage pattern(std::uint32_t bits) {
        return {static_cast<std::uint16_t>(bits)};
    }
    static std::uint32_t infinity() {
        return ((1U << Format::exponent_bits) - 1) << Format::fraction_bits;
    }
};
using Formats = ::testing::Types<Float16Format, BFloat16Format>;
TYPED_TEST_SUITE(SixteenBitTypes, Formats);

TYPED_TEST(SixteenBitTypes, EveryPatternIsReadExactlyAndWrittenBack) {
    for (std::uint32_t bits = 0; bits <= 0xFFFFU; ++bits) {
        const double defined =
            defined_value(bits, TypeParam::exponent_bits, TypeParam::fraction_bits);
        const float value = to_float(this->pattern(bits));
        const auto written = TypeParam::round(value);
        if (std::isnan(defined)) {
            ASSERT_TRUE(std::isnan(value)) << "bits " << bits;
            ASSERT_TRUE(std::isnan(to_float(written))) << "bits " << bits;
        } else {
            ASSERT_EQ(static_cast<double>(value), defined) << "bits " << bits;
            ASSERT_EQ(std::signbit(value), std::signbit(defined)) << "bits " << bits;
            ASSERT_EQ(written.bits, bits);
        }
    }
}

TYPED_TEST(SixteenBitTypes, HalfwayCasesGoToEvenAndTheirNeighboursToTheNearer) {
    for (std::uint32_t bits = 0; bits < this->infinity(); ++bits) {
        const double low = defined_value(bits, TypeParam::exponent_bits, TypeParam::fraction_bits);
        // Above the largest finite value lies, for rounding, one more step of the same size.
        const double below =
            defined_value(bits - 1, TypeParam::exponent_bits, TypeParam::fraction_bits);
        const double high =
            bits + 1 == this->infinity()
                ? low + (low - below)
                : defined_value(bits + 1, TypeParam::exponent_bits, TypeParam::fraction_bits);
        const auto middle = static_cast<float>((low + high) / 2);
        const std::uint32_t even = bits % 2 == 0 ? bits : bits + 1;
        const float infinity = std::numeric_limits<float>::infinity();
        ASSERT_EQ(TypeParam::round(middle).bits, even) << "bits " << bits;
        ASSERT_EQ(TypeParam::round(-middle).bits, even | 0x8000U) << "bits " << bits;
        ASSERT_EQ(TypeParam::round(std::nextafter(middle, 0.0F)).bits, bits) << "bits " << bits;
        ASSERT_EQ(TypeParam::round(std::nextafter(middle, infinity)).bits, bits + 1)
            << "bits " << bits;
    }
}

TYPED_TEST(SixteenBitTypes, WhatIsTooLargeBecomesInfinity) {
    const float huge = std::numeric_limits<float>::max();
    EXPECT_EQ(TypeParam::round(huge).bits, this->infinity());
    EXPECT_EQ(TypeParam::round(-huge).bits, this->infinity() | 0x8000U);
}

TYPED_TEST(SixteenBitTypes, NaNWhosePayloadIsCutOffStaysNaN) {
    for (const std::uint32_t bits : {0x7F800001U, 0xFF800001U, 0x7F801FFFU, 0x7FC00000U}) {
        const auto value = std::bit_cast<float>(bits);
        ASSERT_TRUE(std::isnan(value));
        EXPECT_TRUE(std::isnan(to_float(TypeParam::round(value)))) << "bits " << bits;
    }
}

TEST(ElementType, SizesAreThoseOfTheStorage) {
    EXPECT_EQ(size_of(ElementType::f16), sizeof(float16));
    EXPECT_EQ(size_of(ElementType::bf16), sizeof(bfloat16));
    EXPECT_EQ(size_of(ElementType::f32), sizeof(float));
    EXPECT_EQ(size_of(ElementType::f64), sizeof(double));
}

}  // namespace
}  // namespace normgraph::kernel
