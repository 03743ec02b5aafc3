#include "normgraph/ir/element_type.hpp"

#include <algorithm>
#include <array>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "normgraph/ir/text.hpp"

namespace normgraph::element {

namespace {

struct Properties {
    std::string_view name;
    std::size_t size;
    bool is_real;
};

// Indexed by Kind; all_in_order below has the same order.
constexpr std::array<Properties, 14> properties_by_kind{{
    {"dynamic", 0, false},
    {"boolean", 1, false},
    {"f16", 2, true},
    {"bf16", 2, true},
    {"f32", 4, true},
    {"f64", 8, true},
    {"i8", 1, false},
    {"i16", 2, false},
    {"i32", 4, false},
    {"i64", 8, false},
    {"u8", 1, false},
    {"u16", 2, false},
    {"u32", 4, false},
    {"u64", 8, false},
}};

constexpr std::array<Type, properties_by_kind.size()> all_in_order{
    dynamic, boolean, f16, bf16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64};

constexpr bool order_is_that_of_kind() {
    for (std::size_t index = 0; index < all_in_order.size(); ++index) {
        if (static_cast<std::size_t>(all_in_order[index].kind()) != index) {
            return false;
        }
    }
    return true;
}
static_assert(order_is_that_of_kind());

const Properties& properties(Type type) noexcept {
    return properties_by_kind[static_cast<std::size_t>(type.kind())];
}

}  // namespace

Type Type::parse(std::string_view name) {
    const auto* const found = std::ranges::find(all_in_order, name, &Type::name);
    if (found != all_in_order.end()) {
        return *found;
    }
    std::vector<std::string> names;
    for (const Type type : all_in_order) {
        names.emplace_back(type.name());
    }
    throw std::invalid_argument("expected an element type out of " + join(names, ", ") + ", got '" +
                                std::string(name) + "'");
}

std::optional<Type> Type::merge(Type left, Type right) noexcept {
    if (left.is_dynamic() || left == right) {
        return right;
    }
    return right.is_dynamic() ? std::optional{left} : std::nullopt;
}

std::string_view Type::name() const noexcept {
    return properties(*this).name;
}

std::size_t Type::size() const noexcept {
    return properties(*this).size;
}

bool Type::is_real() const noexcept {
    return properties(*this).is_real;
}

std::span<const Type> all_types() noexcept {
    return all_in_order;
}

std::ostream& operator<<(std::ostream& stream, Type type) {
    return stream << type.name();
}

}  // namespace normgraph::element
