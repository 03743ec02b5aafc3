#include "normgraph/kernel/fused_multiply_add.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>

/// Against integer arithmetic. Where the processor has the instruction, the C library takes it as
/// well: ctest runs these once more with GLIBC_TUNABLES that hide it, so that the library computes.
namespace normgraph::kernel {
namespace {

__extension__ using Wide = __int128;

/// A number of so many significant bits, with a sign: integer · 2^exponent.
struct Scaled {
    std::int64_t integer;
    int exponent;

    double value() const { return std::ldexp(static_cast<double>(integer), exponent); }
};

class Numbers {
public:
    explicit Numbers(int bits) : bits_(bits) {}

    Scaled next(int lowest_exponent, int highest_exponent) {
        const std::int64_t top = std::int64_t{1} << (bits_ - 1);
        const std::int64_t magnitude = top + static_cast<std::int64_t>(random_()) % top;
        // Few bits now and then, so that results are exact or halfway between two numbers.
        const std::int64_t kept = random_() % 4 == 0 ? magnitude & ~((top >> 3) - 1) : magnitude;
        const auto span = static_cast<unsigned int>(highest_exponent - lowest_exponent + 1);
        return {random_() % 2 == 0 ? kept : -kept,
                lowest_exponent + static_cast<int>(random_() % span)};
    }

private:
    int bits_;
    std::mt19937_64 random_{20};
};

/// integer · 2^exponent, rounded to `bits` bits, ties to even.
double rounded(Wide integer, int exponent, int bits) {
    const bool is_negative = integer < 0;
    Wide magnitude = is_negative ? -integer : integer;
    int width = 0;
    for (Wide rest = magnitude; rest != 0; rest >>= 1) {
        ++width;
    }
    if (width > bits) {
        const int dropped = width - bits;
        const Wide unit = Wide{1} << dropped;
        const Wide rest = magnitude & (unit - 1);
        magnitude >>= dropped;
        const Wide half = unit >> 1;
        if (rest > half || (rest == half && (magnitude & 1) != 0)) {
            ++magnitude;
        }
        exponent += dropped;
    }
    const double value = std::ldexp(static_cast<double>(magnitude), exponent);
    return is_negative ? -value : value;
}

/// a·b + c, where c's exponent is at least that of the product and at most `bits_apart` above it.
double exact(const Scaled& a, const Scaled& b, const Scaled& c, int bits) {
    const int product_exponent = a.exponent + b.exponent;
    const Wide product = static_cast<Wide>(a.integer) * b.integer;
    const Wide addend = static_cast<Wide>(c.integer) << (c.exponent - product_exponent);
    return rounded(product + addend, product_exponent, bits);
}

TEST(FusedMultiplyAdd, OfFloatsIsRoundedOnce) {
    Numbers numbers(24);
    for (int count = 0; count < 200000; ++count) {
        const Scaled a = numbers.next(-20, 20), b = numbers.next(-20, 20);
        const int product = a.exponent + b.exponent;
        const Scaled c = numbers.next(product, product + 60);
        const float result =
            fused_multiply_add(static_cast<float>(a.value()), static_cast<float>(b.value()),
                               static_cast<float>(c.value()));
        ASSERT_EQ(static_cast<double>(result), exact(a, b, c, 24))
            << a.value() << ' ' << b.value() << ' ' << c.value();
    }
}

TEST(FusedMultiplyAdd, OfDoublesIsRoundedOnce) {
    Numbers numbers(53);
    for (int count = 0; count < 200000; ++count) {
        const Scaled a = numbers.next(-20, 20), b = numbers.next(-20, 20);
        const int product = a.exponent + b.exponent;
        const Scaled c = numbers.next(product + 20, product + 70);
        const double result = fused_multiply_add(a.value(), b.value(), c.value());
        ASSERT_EQ(result, exact(a, b, c, 53)) << a.value() << ' ' << b.value() << ' ' << c.value();
    }
}

TEST(FusedMultiplyAdd, OfFloatsIsNotRoundedThroughDouble) {
    // 1 + 2^-23 + 2^-24 - 2^-70 is below the tie between 1 + 2^-23 and its neighbour, whose last
    // bit is even; rounded to double it is that tie.
    const float above = 1.0F + 0x1p-23F;
    EXPECT_EQ(fused_multiply_add(0x1.000002p-12F, 0x1.fffffcp-13F, above), above);
    EXPECT_EQ(fused_multiply_add(-0x1.000002p-12F, 0x1.fffffcp-13F, -above), -above);
}

TEST(FusedMultiplyAdd, KeepsDenormalsAndSigns) {
    EXPECT_EQ(fused_multiply_add(0x1p-100F, 0x1p-49F, 0.0F), 0x1p-149F);
    EXPECT_EQ(fused_multiply_add(0x1p-100F, 0x1p-50F, 0.0F), 0.0F);
    EXPECT_EQ(fused_multiply_add(0x1.8p-100F, 0x1p-50F, 0.0F), 0x1p-149F);
    EXPECT_TRUE(std::signbit(fused_multiply_add(-0.0F, 1.0F, -0.0F)));
    EXPECT_FALSE(std::signbit(fused_multiply_add(-1.0F, 1.0F, 1.0F)));
}

}  // namespace
}  // namespace normgraph::kernel
