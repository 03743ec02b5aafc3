#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "normgraph/ir/node.hpp"

/// Primitive nodes written as formulas. Each function makes one node and throws what that throws.
namespace normgraph::op {

Output operator+(const Output& left, const Output& right);
Output operator-(const Output& left, const Output& right);
Output operator*(const Output& left, const Output& right);
Output operator/(const Output& left, const Output& right);
Output operator-(const Output& value);
Output square_root(const Output& value);

Output sum(const Output& value, std::vector<std::int64_t> kept_axes);
Output mean(const Output& value, std::vector<std::int64_t> kept_axes);
Output broadcast(const Output& value, const Output& like, std::vector<std::int64_t> axes);
Output mean_backprop(const Output& delta, const Output& like, std::vector<std::int64_t> axes);

/// The value where `where`, broadcast to it, is true, else 0.
Output select_where(const Output& value, const Output& where);

/// The value itself where it has this type already.
Output convert(const Output& value, element::Type type);

/// The number in every element of a tensor of this real type and the shape of `like`.
Output filled(double number, element::Type type, const Output& like);

/// The number, rounded to the element type of `like`, in every element of a tensor of its type.
/// Throws what Constant::scalar throws.
Output constant_like(double number, const Output& like);

/// The same output; its node has this friendly name from now on.
Output named(Output value, std::string friendly_name);

}  // namespace normgraph::op
