#include "normgraph/ir/constant.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>

namespace normgraph {
namespace {

template <typename Bits>
Bits bits_of(double number, element::Type type) {
    const auto constant = Constant::scalar(number, type);
    EXPECT_EQ(constant->shape(), PartialShape{});
    EXPECT_EQ(constant->data().size(), sizeof(Bits));
    Bits bits{};
    std::memcpy(&bits, constant->data().data(), sizeof bits);
    return bits;
}

std::uint16_t f16(double number) {
    return bits_of<std::uint16_t>(number, element::f16);
}
std::uint16_t bf16(double number) {
    return bits_of<std::uint16_t>(number, element::bf16);
}

TEST(ConstantScalar, IsRoundedOnceToNearestEven) {
    EXPECT_EQ(f16(1), 0x3C00);
    EXPECT_EQ(f16(-2.5), 0xC100);
    EXPECT_EQ(f16(0x1.002p0), 0x3C00);            // a tie: the even one
    EXPECT_EQ(f16(0x1.006p0), 0x3C02);            // a tie: the even one
    EXPECT_EQ(f16(0x1.0020000000001p0), 0x3C01);  // by way of f32 it would be a tie
    EXPECT_EQ(bf16(0x1.010000000001p0), 0x3F81);  // likewise
    EXPECT_EQ(bf16(0x1.FFp0), 0x4000);            // carries into the exponent
    EXPECT_EQ(bits_of<std::uint32_t>(0.1, element::f32), 0x3DCCCCCDU);
    EXPECT_EQ(bits_of<std::uint64_t>(0.1, element::f64), 0x3FB999999999999AULL);
}

TEST(ConstantScalar, KeepsDenormalNumbersAndSigns) {
    EXPECT_EQ(f16(0x1p-24), 0x0001);
    EXPECT_EQ(f16(0x1p-25), 0x0000);
    EXPECT_EQ(f16(0x1.8p-25), 0x0001);
    EXPECT_EQ(f16(0x1.FF8p-15), 0x03FF);
    EXPECT_EQ(f16(0x1.FFCp-15), 0x0400);  // a tie: the even one, the smallest normal one
    EXPECT_EQ(f16(-0.0), 0x8000);
    EXPECT_EQ(bf16(0x1p-133), 0x0001);
    EXPECT_EQ(bits_of<std::uint32_t>(0x1p-149, element::f32), 1U);
    EXPECT_EQ(bits_of<std::uint64_t>(0x1p-1074, element::f64), 1U);
}

TEST(ConstantScalar, IsInfiniteForInfinityAlone) {
    const double infinity = std::numeric_limits<double>::infinity();
    EXPECT_EQ(f16(infinity), 0x7C00);
    EXPECT_EQ(bf16(-infinity), 0xFF80);
    EXPECT_EQ(f16(std::nan("")), 0x7E00);
    EXPECT_EQ(f16(65519), 0x7BFF);
    EXPECT_THROW(Constant::scalar(65520, element::f16), std::invalid_argument);
    EXPECT_THROW(Constant::scalar(-1e39, element::f32), std::invalid_argument);
    EXPECT_THROW(Constant::scalar(1, element::i32), std::invalid_argument);
    EXPECT_THROW(Constant::scalar(1, element::dynamic), std::invalid_argument);
}

}  // namespace
}  // namespace normgraph
