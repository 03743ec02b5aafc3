#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "normgraph/ir/element_type.hpp"

namespace normgraph {

/// The bytes of the number in a real element type, in this machine's order: rounded once, to
/// nearest even, whatever the rounding mode of the processor is. nullopt for a finite number that
/// would become infinite.
std::optional<std::vector<std::byte>> rounded_number(double number, element::Type type);

}  // namespace normgraph
