#pragma once

#include <cstddef>
#include <initializer_list>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "normgraph/ir/dimension.hpp"

namespace normgraph {

/// What is known about a tensor's shape: nothing at all (dynamic rank), or the rank and for each
/// axis an interval.
class PartialShape {
public:
    /// The shape of a scalar, {}: rank 0.
    PartialShape() : dimensions_{std::in_place} {}
    PartialShape(std::initializer_list<Dimension> dimensions) : dimensions_{dimensions} {}
    explicit PartialShape(std::vector<Dimension> dimensions) : dimensions_{std::move(dimensions)} {}

    /// Dynamic rank.
    static PartialShape dynamic();
    /// This rank, every axis of any length.
    static PartialShape dynamic(std::size_t rank);

    /// The intersection, axis by axis; a dynamic rank takes the other's shape. nullopt if the
    /// ranks differ or an axis has no common length.
    static std::optional<PartialShape> merge(const PartialShape& left, const PartialShape& right);

    bool has_static_rank() const noexcept { return dimensions_.has_value(); }
    /// A static dimension, or Dimension::dynamic() if the rank is dynamic.
    Dimension rank() const;
    /// True if the rank and every axis are static.
    bool is_static() const noexcept;
    bool is_dynamic() const noexcept { return !is_static(); }
    /// True if some shape is described by both.
    bool compatible(const PartialShape& other) const;

    /// The rank as a number, the axes. Both throw std::domain_error if the rank is dynamic.
    std::size_t size() const { return dimensions().size(); }
    const std::vector<Dimension>& dimensions() const;
    /// Throws std::domain_error if the rank is dynamic, std::out_of_range if it is not above axis.
    const Dimension& operator[](std::size_t axis) const { return dimensions().at(axis); }
    /// The same shape with this dimension at the axis; the same errors as operator[].
    PartialShape with_dimension(std::size_t axis, const Dimension& dimension) const;

    /// "{?,64,1..8}"; "?" for dynamic rank.
    std::string to_string() const;

    friend bool operator==(const PartialShape&, const PartialShape&) = default;

private:
    std::optional<std::vector<Dimension>> dimensions_;  // nullopt: dynamic rank
};

std::ostream& operator<<(std::ostream& stream, const PartialShape& shape);

}  // namespace normgraph
