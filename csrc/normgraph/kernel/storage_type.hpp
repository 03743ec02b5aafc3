#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "normgraph/kernel/element_type.hpp"

/// Every type that elements are stored in, and conversions with a single rounding.
namespace normgraph::kernel {

enum class StorageType : std::uint8_t {
    f16,
    bf16,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
    boolean,  ///< a byte, 0 or 1
};

constexpr StorageType storage_type(ElementType type) {
    return static_cast<StorageType>(type);
}
static_assert(storage_type(ElementType::f16) == StorageType::f16);
static_assert(storage_type(ElementType::f64) == StorageType::f64);

constexpr bool is_real(StorageType type) {
    return type <= StorageType::f64;
}

/// `type` is real.
constexpr ElementType element_type(StorageType type) {
    return static_cast<ElementType>(type);
}

/// Calls `function.template operator()<Data>()` with the type that `type` names.
template <typename Function>
decltype(auto) with_storage_type(StorageType type, Function&& function) {
    switch (type) {
        case StorageType::f16:
            return function.template operator()<float16>();
        case StorageType::bf16:
            return function.template operator()<bfloat16>();
        case StorageType::f32:
            return function.template operator()<float>();
        case StorageType::f64:
            return function.template operator()<double>();
        case StorageType::i8:
            return function.template operator()<std::int8_t>();
        case StorageType::i16:
            return function.template operator()<std::int16_t>();
        case StorageType::i32:
            return function.template operator()<std::int32_t>();
        case StorageType::i64:
            return function.template operator()<std::int64_t>();
        case StorageType::u8:
        case StorageType::boolean:
            return function.template operator()<std::uint8_t>();
        case StorageType::u16:
            return function.template operator()<std::uint16_t>();
        case StorageType::u32:
            return function.template operator()<std::uint32_t>();
        case StorageType::u64:
            break;
    }
    return function.template operator()<std::uint64_t>();
}

constexpr std::size_t size_of(StorageType type) {
    constexpr std::array<std::size_t, 13> sizes{2, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1};
    return sizes[static_cast<std::size_t>(type)];
}

/// Rounded to odd: the neighbour towards zero, its last bit set unless it is exact. A second
/// rounding, to nearest and to at least two bits less, then gives what one rounding would.
inline float to_float_odd(double value) {
    const auto nearest = static_cast<float>(value);
    const auto back = static_cast<double>(nearest);
    if (back == value || value != value) {
        return nearest;
    }
    auto bits = std::bit_cast<std::uint32_t>(nearest);
    const bool is_larger = (back < 0 ? -back : back) > (value < 0 ? -value : value);
    bits -= is_larger ? 1U : 0U;
    return std::bit_cast<float>(bits | 1U);
}

/// Rounds integers, of which a double holds 53 bits, to odd.
template <typename Integer>
double to_double_odd(Integer value) {
    if constexpr (sizeof(Integer) < 8) {
        return static_cast<double>(value);
    } else {
        const bool is_negative = value < 0;
        const auto bits = static_cast<std::uint64_t>(value);
        const std::uint64_t magnitude = is_negative ? 0 - bits : bits;
        if (magnitude >> 53 == 0) {
            return static_cast<double>(value);
        }
        const std::uint64_t sticky = (magnitude & 0x7FFU) != 0 ? 1 : 0;
        const double result = static_cast<double>(magnitude >> 11 | sticky) * 2048;
        return is_negative ? -result : result;
    }
}

/// Rounded once, to nearest even.
template <typename Data>
Data rounded_once(double value) {
    if constexpr (std::is_same_v<Data, double>) {
        return value;
    } else if constexpr (std::is_same_v<Data, float>) {
        return static_cast<float>(value);
    } else {
        return rounded_to<Data>(to_float_odd(value));
    }
}

/// Writes one element of a type known at run time, rounded once.
inline void store_rounded_once(ElementType type, std::byte* address, double value) {
    with_data_type(type, [&]<typename Data>() {
        const Data stored = rounded_once<Data>(value);
        std::memcpy(address, &stored, sizeof(Data));
    });
}

/// Converts from any type to a real one, rounded once, to nearest even.
template <typename To, typename From>
To converted(From value) {
    if constexpr (std::is_same_v<To, From>) {
        return value;
    } else if constexpr (std::is_integral_v<From>) {
        if constexpr (std::is_floating_point_v<To>) {
            return static_cast<To>(value);
        } else {
            return rounded_once<To>(to_double_odd(value));
        }
    } else if constexpr (std::is_same_v<From, double>) {
        return rounded_once<To>(value);
    } else if constexpr (std::is_same_v<To, double>) {
        return static_cast<double>(to_float(value));
    } else {
        return rounded_to<To>(to_float(value));
    }
}

}  // namespace normgraph::kernel
