#include "normgraph/ir/partial_shape.hpp"

#include <algorithm>
#include <ostream>
#include <stdexcept>

#include "normgraph/ir/text.hpp"

namespace normgraph {

PartialShape PartialShape::dynamic() {
    PartialShape shape;
    shape.dimensions_.reset();
    return shape;
}

PartialShape PartialShape::dynamic(std::size_t rank) {
    return PartialShape(std::vector<Dimension>(rank));
}

std::optional<PartialShape> PartialShape::merge(const PartialShape& left,
                                                const PartialShape& right) {
    if (!left.has_static_rank() || !right.has_static_rank()) {
        return left.has_static_rank() ? left : right;
    }
    if (left.size() != right.size()) {
        return std::nullopt;
    }
    PartialShape merged = left;
    for (std::size_t axis = 0; axis < merged.size(); ++axis) {
        const std::optional<Dimension> dimension = Dimension::merge(left[axis], right[axis]);
        if (!dimension) {
            return std::nullopt;
        }
        (*merged.dimensions_)[axis] = *dimension;
    }
    return merged;
}

Dimension PartialShape::rank() const {
    return has_static_rank() ? Dimension(static_cast<std::int64_t>(size())) : Dimension::dynamic();
}

bool PartialShape::is_static() const noexcept {
    return dimensions_ && std::ranges::all_of(*dimensions_, &Dimension::is_static);
}

bool PartialShape::compatible(const PartialShape& other) const {
    return merge(*this, other).has_value();
}

const std::vector<Dimension>& PartialShape::dimensions() const {
    if (!dimensions_) {
        throw std::domain_error("the rank of the shape is dynamic: it has no axes yet");
    }
    return *dimensions_;
}

PartialShape PartialShape::with_dimension(std::size_t axis, const Dimension& dimension) const {
    std::vector<Dimension> replaced = dimensions();
    replaced.at(axis) = dimension;
    return PartialShape(std::move(replaced));
}

std::string PartialShape::to_string() const {
    if (!dimensions_) {
        return "?";
    }
    std::vector<std::string> lengths;
    for (const Dimension& dimension : *dimensions_) {
        lengths.push_back(dimension.to_string());
    }
    return "{" + join(lengths, ",") + "}";
}

std::ostream& operator<<(std::ostream& stream, const PartialShape& shape) {
    return stream << shape.to_string();
}

}  // namespace normgraph
