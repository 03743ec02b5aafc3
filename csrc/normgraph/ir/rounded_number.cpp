#include "normgraph/ir/rounded_number.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace normgraph {

namespace {

/// An IEEE format: sign, exponent, fraction, from the most significant bit on.
struct Format {
    int exponent_bits;
    int fraction_bits;

    /// Of the smallest normal number: 2^lowest_exponent.
    int lowest_exponent() const { return 2 - (1 << (exponent_bits - 1)); }
    std::uint64_t infinity() const {
        return ((std::uint64_t{1} << exponent_bits) - 1) << fraction_bits;
    }
    std::uint64_t quiet_nan() const { return infinity() | std::uint64_t{1} << (fraction_bits - 1); }
    std::uint64_t sign() const { return std::uint64_t{1} << (exponent_bits + fraction_bits); }
};

Format format_of(element::Type type) {
    switch (type.kind()) {
        case element::Type::Kind::f16:
            return {5, 10};
        case element::Type::Kind::bf16:
            return {8, 7};
        case element::Type::Kind::f32:
            return {8, 23};
        default:
            return {11, 52};
    }
}

/// Of a finite number >= 0, without its sign; infinity() where it is too large.
std::uint64_t bits_of_magnitude(double magnitude, const Format& format) {
    if (magnitude == 0) {
        return 0;
    }
    const int lowest = format.lowest_exponent();
    const int exponent = std::max(std::ilogb(magnitude), lowest);
    if (exponent > 1 - lowest) {
        return format.infinity();
    }
    // In units in the last place: a power of two, so that all of this is exact.
    const double units = std::ldexp(magnitude, format.fraction_bits - exponent);
    auto rounded = static_cast<std::uint64_t>(units);
    const double rest = units - static_cast<double>(rounded);
    const bool is_odd = rounded % 2 == 1;
    rounded += rest > 0.5 || (rest == 0.5 && is_odd) ? 1 : 0;
    // A normal number has the bit of its unit here, which adds one to the exponent; so does a
    // carry.
    return (static_cast<std::uint64_t>(exponent - lowest) << format.fraction_bits) + rounded;
}

template <typename Bits>
std::vector<std::byte> bytes_of(std::uint64_t bits) {
    const auto narrow = static_cast<Bits>(bits);
    std::vector<std::byte> bytes(sizeof narrow);
    std::memcpy(bytes.data(), &narrow, sizeof narrow);
    return bytes;
}

}  // namespace

std::optional<std::vector<std::byte>> rounded_number(double number, element::Type type) {
    const Format format = format_of(type);
    std::uint64_t bits = 0;
    if (std::isnan(number)) {
        bits = format.quiet_nan();
    } else if (std::isinf(number)) {
        bits = format.infinity();
    } else {
        bits = bits_of_magnitude(std::fabs(number), format);
        if (bits == format.infinity()) {
            return std::nullopt;
        }
    }
    bits |= std::signbit(number) && !std::isnan(number) ? format.sign() : 0;
    switch (type.size()) {
        case sizeof(std::uint16_t):
            return bytes_of<std::uint16_t>(bits);
        case sizeof(std::uint32_t):
            return bytes_of<std::uint32_t>(bits);
        default:
            return bytes_of<std::uint64_t>(bits);
    }
}

}  // namespace normgraph
