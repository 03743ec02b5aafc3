#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace normgraph::kernel {

/// The element types kernels compute on.
enum class ElementType : std::uint8_t { f16, bf16, f32, f64 };

constexpr std::size_t size_of(ElementType type) {
    return type == ElementType::f64 ? 8 : type == ElementType::f32 ? 4 : 2;
}

/// IEEE 754 binary16, as storage: 1 sign, 5 exponent, 10 fraction bits.
struct float16 {
    std::uint16_t bits;
};

/// The upper half of an IEEE 754 binary32, as storage: 1 sign, 8 exponent, 7 fraction bits.
struct bfloat16 {
    std::uint16_t bits;
};

/// Exact.
inline float to_float(bfloat16 value) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

/// Rounds to nearest, ties to even, denormals included; a NaN stays a (quiet) NaN.
inline bfloat16 to_bfloat16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (value != value) {
        return {static_cast<std::uint16_t>((bits >> 16) | 0x0040U)};
    }
    const std::uint32_t round_to_even = 0x7FFFU + ((bits >> 16) & 1U);
    return {static_cast<std::uint16_t>((bits + round_to_even) >> 16)};
}

/// Exact.
inline float to_float(float16 value) {
    const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000U) << 16;
    const std::uint32_t magnitude = value.bits & 0x7FFFU;
    if (magnitude >= 0x7C00U) {  // infinity and NaN: all exponent bits set, fraction kept
        return std::bit_cast<float>(sign | 0x7F800000U | ((magnitude & 0x3FFU) << 13));
    }
    // Exponent bias 127 - 15 = 112: shifting the bits into place leaves a float 2^112 too small,
    // denormals included, and a multiplication by a power of two is exact.
    const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(scaled));
}

/// Rounds to nearest, ties to even, denormals included; a NaN stays a (quiet) NaN; magnitudes from
/// 65520 up become infinity.
inline float16 to_float16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (bits >> 16) & 0x8000U;
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    if (magnitude > 0x7F800000U) {
        return {static_cast<std::uint16_t>(sign | 0x7E00U | ((magnitude >> 13) & 0x3FFU))};
    }
    if (magnitude >= 0x47800000U) {  // 65536 and more
        return {static_cast<std::uint16_t>(sign | 0x7C00U)};
    }
    if (magnitude < 0x38800000U) {
        // Below 2^-14 the result is a multiple of 2^-24. Adding 0.5, whose unit in the last place
        // is 2^-24, makes the float addition do the rounding.
        const float rounded = std::bit_cast<float>(magnitude) + 0.5F;
        const std::uint32_t fraction = std::bit_cast<std::uint32_t>(rounded) - 0x3F000000U;
        return {static_cast<std::uint16_t>(sign | fraction)};
    }
    const std::uint32_t round_to_even = 0xFFFU + ((magnitude >> 13) & 1U);
    const std::uint32_t rebiased = magnitude - (112U << 23) + round_to_even;
    return {static_cast<std::uint16_t>(sign | (rebiased >> 13))};
}

inline float to_float(float value) {
    return value;
}

/// The type in which element-wise outputs are computed: f64 for f64 data, f32 for all else.
template <typename Data>
struct Arithmetic {
    using type = float;
};
template <>
struct Arithmetic<double> {
    using type = double;
};
template <typename Data>
using arithmetic_t = typename Arithmetic<Data>::type;

/// Reads one element, at any alignment, exactly.
template <typename Data>
arithmetic_t<Data> load(const std::byte* address) {
    Data value;
    std::memcpy(&value, address, sizeof(Data));
    if constexpr (sizeof(Data) == 8) {
        return value;
    } else {
        return to_float(value);
    }
}

template <typename Data>
Data rounded_to(arithmetic_t<Data> value);
template <>
inline double rounded_to<double>(double value) {
    return value;
}
template <>
inline float rounded_to<float>(float value) {
    return value;
}
template <>
inline bfloat16 rounded_to<bfloat16>(float value) {
    return to_bfloat16(value);
}
template <>
inline float16 rounded_to<float16>(float value) {
    return to_float16(value);
}

/// Writes one element, at any alignment, rounded once to its storage type.
template <typename Data>
void store(std::byte* address, arithmetic_t<Data> value) {
    const Data stored = rounded_to<Data>(value);
    std::memcpy(address, &stored, sizeof(Data));
}

/// Calls `function.template operator()<Data>()` with the storage type that `type` names.
template <typename Function>
decltype(auto) with_data_type(ElementType type, Function&& function) {
    switch (type) {
        case ElementType::f16:
            return function.template operator()<float16>();
        case ElementType::bf16:
            return function.template operator()<bfloat16>();
        case ElementType::f32:
            return function.template operator()<float>();
        case ElementType::f64:
            break;
    }
    return function.template operator()<double>();
}

// Channel vectors are mostly f32, which is worth a branch: else every value would be a call.

/// Reads one element of a type known at run time. Exact.
inline double load_as_double(ElementType type, const std::byte* address) {
    if (type == ElementType::f32) {
        return static_cast<double>(load<float>(address));
    }
    return with_data_type(
        type, [&]<typename Data>() { return static_cast<double>(load<Data>(address)); });
}

/// Writes one element of a type known at run time: double to float to storage, so a 16-bit type is
/// rounded twice (at most half an ulp and a 2^-13th of one).
inline void store_from_double(ElementType type, std::byte* address, double value) {
    if (type == ElementType::f32) {
        return store<float>(address, static_cast<float>(value));
    }
    with_data_type(type, [&]<typename Data>() {
        store<Data>(address, static_cast<arithmetic_t<Data>>(value));
    });
}

}  // namespace normgraph::kernel
