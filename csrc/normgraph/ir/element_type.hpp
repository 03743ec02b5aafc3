#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <span>
#include <string_view>

namespace normgraph::element {

/// The type of a tensor's elements: a small value, compared with ==, printed by its name.
/// `dynamic` stands for a type that is not known yet.
class Type {
public:
    enum class Kind : std::uint8_t {
        dynamic,
        boolean,
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
    };

    /// The dynamic type.
    constexpr Type() noexcept = default;
    constexpr explicit Type(Kind kind) noexcept : kind_{kind} {}

    /// The type of this name ("f16", "bf16", "f32", "f64", "i8" … "u64", "boolean", "dynamic").
    /// Throws std::invalid_argument that lists the names.
    static Type parse(std::string_view name);

    /// What is known when both hold: a dynamic type takes the other's; nullopt if they differ.
    static std::optional<Type> merge(Type left, Type right) noexcept;

    constexpr Kind kind() const noexcept { return kind_; }
    /// "f32"; parse() reads it back.
    std::string_view name() const noexcept;
    /// Bytes per element; 0 for the dynamic type.
    std::size_t size() const noexcept;
    /// True for f16, bf16, f32 and f64.
    bool is_real() const noexcept;
    /// True for f16 and bf16.
    constexpr bool is_sixteen_bit_real() const noexcept {
        return kind_ == Kind::f16 || kind_ == Kind::bf16;
    }
    /// True for i8 … i64 and u8 … u64.
    constexpr bool is_integer() const noexcept { return kind_ >= Kind::i8; }
    constexpr bool is_dynamic() const noexcept { return kind_ == Kind::dynamic; }
    constexpr bool is_static() const noexcept { return !is_dynamic(); }

    friend constexpr bool operator==(Type left, Type right) noexcept = default;

private:
    Kind kind_ = Kind::dynamic;
};

inline constexpr Type dynamic{Type::Kind::dynamic};
inline constexpr Type boolean{Type::Kind::boolean};
inline constexpr Type f16{Type::Kind::f16};
inline constexpr Type bf16{Type::Kind::bf16};
inline constexpr Type f32{Type::Kind::f32};
inline constexpr Type f64{Type::Kind::f64};
inline constexpr Type i8{Type::Kind::i8};
inline constexpr Type i16{Type::Kind::i16};
inline constexpr Type i32{Type::Kind::i32};
inline constexpr Type i64{Type::Kind::i64};
inline constexpr Type u8{Type::Kind::u8};
inline constexpr Type u16{Type::Kind::u16};
inline constexpr Type u32{Type::Kind::u32};
inline constexpr Type u64{Type::Kind::u64};

/// Every type, dynamic included, in the order of Kind.
std::span<const Type> all_types() noexcept;

std::ostream& operator<<(std::ostream& stream, Type type);

}  // namespace normgraph::element
