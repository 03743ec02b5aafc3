#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>

#include "binding/conversion.hpp"
#include "binding/op_conversion.hpp"
#include "normgraph/op/batch_norm_node.hpp"
#include "normgraph/runtime/kernel_call.hpp"

/// Attributes of ops as arguments of Python functions.
namespace normgraph::binding {

inline constexpr auto& statistics_type_attribute =
    std::get<op::Attribute<std::optional<element::Type>>>(op::StatisticsNode::attributes);

/// Calls visit with each attribute of an op of the family, in their order.
template <typename Visit>
void for_each_attribute(const runtime::KernelCall& call, const Visit& visit) {
    const auto visit_all = [&](const auto&... attributes) { (visit(attributes), ...); };
    std::apply(visit_all, op::EpsilonNode::attributes);
    if (call.has_statistics()) {
        visit(statistics_type_attribute);
    }
    if (call.applies_relu) {
        visit(op::upper_bound_attribute);
    }
}

/// Whether an attribute may be left out even among those of a node.
template <typename Value>
inline constexpr bool is_optional_value = false;
template <typename Value>
inline constexpr bool is_optional_value<std::optional<Value>> = true;

// How the value of an attribute is read, and what formats call its kind.

inline double attribute_from_python(const op::Attribute<double>&, pybind11::handle object) {
    return epsilon_from_python(object);
}
inline std::int64_t attribute_from_python(const op::Attribute<std::int64_t>&,
                                          pybind11::handle object) {
    return channel_axis_from_python(object);
}
inline bool attribute_from_python(const op::Attribute<bool>& attribute, pybind11::handle object) {
    return flag_from_python(std::string(attribute.name), object);
}
inline op::Axes attribute_from_python(const op::Attribute<op::Axes>& attribute,
                                      pybind11::handle object) {
    return axes_from_python(std::string(attribute.name), object);
}
inline element::Type attribute_from_python(const op::Attribute<element::Type>& attribute,
                                           pybind11::handle object) {
    return element_type_from_python(std::string(attribute.name), object);
}

inline std::optional<element::Type> attribute_from_python(
    const op::Attribute<std::optional<element::Type>>& attribute, pybind11::handle object) {
    if (object.is_none()) {
        return std::nullopt;
    }
    return element_type_from_python(std::string(attribute.name), object);
}
inline std::optional<double> attribute_from_python(
    const op::Attribute<std::optional<double>>& /*attribute*/, pybind11::handle object) {
    if (object.is_none()) {
        return std::nullopt;
    }
    return upper_bound_from_python(object);
}

inline std::optional<std::int64_t> attribute_from_python(
    const op::Attribute<std::optional<std::int64_t>>& attribute, pybind11::handle object) {
    if (object.is_none()) {
        return std::nullopt;
    }
    return integer_from_python(std::string(attribute.name), "an integer from 0 to 2^63 - 1 or None",
                               object);
}

template <typename Number>
    requires std::is_same_v<Number, double> || std::is_same_v<Number, std::optional<double>>
constexpr const char* kind_of(const op::Attribute<Number>&) {
    return "number";
}
template <typename Integer>
    requires std::is_same_v<Integer, std::int64_t> ||
             std::is_same_v<Integer, std::optional<std::int64_t>>
constexpr const char* kind_of(const op::Attribute<Integer>&) {
    return "integer";
}
constexpr const char* kind_of(const op::Attribute<bool>&) {
    return "flag";
}
constexpr const char* kind_of(const op::Attribute<op::Axes>&) {
    return "axes";
}
template <typename Type>
    requires std::is_same_v<Type, element::Type> ||
             std::is_same_v<Type, std::optional<element::Type>>
constexpr const char* kind_of(const op::Attribute<Type>&) {
    return "element type";
}

/// As Python writes it; empty for an element type, which is required.
template <typename Value>
std::string default_text(const op::Attribute<Value>& attribute) {
    if constexpr (std::is_arithmetic_v<Value>) {
        return pybind11::repr(pybind11::cast(attribute.default_value)).template cast<std::string>();
    } else {
        return std::is_same_v<Value, op::Axes>        ? "()"
               : std::is_same_v<Value, element::Type> ? ""
                                                      : "None";
    }
}

}  // namespace normgraph::binding
