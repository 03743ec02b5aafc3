#pragma once

#include <iosfwd>
#include <string>

#include "normgraph/ir/element_type.hpp"
#include "normgraph/ir/partial_shape.hpp"

namespace normgraph {

/// What is known about a tensor before it exists: its element type and its shape.
struct TensorType {
    element::Type element_type;
    PartialShape partial_shape = PartialShape::dynamic();

    /// "f32{?,64}"; "f32?" for dynamic rank.
    std::string to_string() const;

    friend bool operator==(const TensorType&, const TensorType&) = default;
};

std::ostream& operator<<(std::ostream& stream, const TensorType& type);

}  // namespace normgraph
