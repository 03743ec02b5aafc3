#include "normgraph/op/relu_mask.hpp"

#include "normgraph/indices/axis.hpp"
#include "normgraph/indices/counts.hpp"

#include <cstddef>
#include <optional>

namespace normgraph::op {
namespace {

constexpr std::int64_t largest_length = Dimension::unbounded - 1;

/// nullopt if the product is larger than any length.
std::optional<std::int64_t> product(std::int64_t left, std::int64_t right) {
    if (left != 0 && right > largest_length / left) {
        return std::nullopt;
    }
    return left * right;
}

/// Of two upper bounds, each of which may be missing. Nothing times anything is nothing.
std::int64_t upper_product(const Dimension& left, const Dimension& right) {
    if (left.max_length() == 0 || right.max_length() == 0) {
        return 0;
    }
    if (!left.has_upper_bound() || !right.has_upper_bound()) {
        return Dimension::unbounded;
    }
    return product(left.max_length(), right.max_length()).value_or(Dimension::unbounded);
}

/// The number of elements along the axes from begin up to end.
Dimension elements_along(const PartialShape& shape, std::size_t begin, std::size_t end) {
    Dimension count(1);
    for (std::size_t axis = begin; axis < end; ++axis) {
        const Dimension& length = shape[axis];
        count = {product(count.min_length(), length.min_length()).value_or(largest_length),
                 upper_product(count, length)};
    }
    return count;
}

Dimension bytes_for(const Dimension& bits) {
    return {normgraph::bytes_for(bits.min_length()), bits.has_upper_bound()
                                                         ? normgraph::bytes_for(bits.max_length())
                                                         : Dimension::unbounded};
}

/// Of a tensor whose rank is not known.
PartialShape shape_for_unknown_rank(std::int64_t channel_axis, const Dimension& channels) {
    if (channel_axis == -1) {
        return {Dimension::dynamic(), bytes_for(channels)};
    }
    if (channel_axis > 0) {  // it may be the last one
        return PartialShape::dynamic();
    }
    const Dimension outer = channel_axis == 0 ? Dimension(1) : Dimension::dynamic();
    return {outer, channels, Dimension::dynamic()};
}

}  // namespace

PartialShape relu_mask_shape(const PartialShape& data, std::int64_t channel_axis,
                             const Dimension& channels) {
    if (!data.has_static_rank()) {
        return shape_for_unknown_rank(channel_axis, channels);
    }
    const auto axis = static_cast<std::size_t>(
        axis_from_front(channel_axis, static_cast<std::int64_t>(data.size())));
    const Dimension outer = elements_along(data, 0, axis);
    if (axis + 1 == data.size()) {
        return {outer, bytes_for(channels)};
    }
    return {outer, channels, bytes_for(elements_along(data, axis + 1, data.size()))};
}

}  // namespace normgraph::op
