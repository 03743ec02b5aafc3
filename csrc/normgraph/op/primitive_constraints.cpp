#include "normgraph/op/primitive_constraints.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "normgraph/indices/axis.hpp"
#include "normgraph/ir/text.hpp"
#include "normgraph/op/input_count.hpp"
#include "normgraph/op/report.hpp"
#include "normgraph/op/upper_bound.hpp"

namespace normgraph::op {
namespace {

// P1: the element type is real.
void check_type_is_real(std::string_view name, element::Type type, Report& report) {
    if (type.is_static() && !type.is_real()) {
        report.add("P1", "the element type of " + text_of(name) +
                             ": expected f16, bf16, f32 or f64, got " + text_of(type.name()));
    }
}

// P2: the inputs have one element type.
element::Type merge_types(std::span<const std::string_view> names,
                          const std::vector<TensorType>& inputs, Report& report) {
    element::Type merged = element::dynamic;
    std::string_view known = names.front();
    for (std::size_t index = 0; index < inputs.size(); ++index) {
        const element::Type type = inputs[index].element_type;
        const std::optional<element::Type> both = element::Type::merge(merged, type);
        if (!both) {
            report.add("P2", "the element type of " + text_of(names[index]) + ": expected " +
                                 text_of(merged.name()) + ", as " + text_of(known) + " has, got " +
                                 text_of(type.name()));
            continue;
        }
        known = merged.is_dynamic() && both->is_static() ? names[index] : known;
        merged = *both;
    }
    return merged;
}

// P3: the inputs have one shape.
PartialShape merge_shapes(std::span<const std::string_view> names,
                          const std::vector<TensorType>& inputs, Report& report) {
    PartialShape merged = PartialShape::dynamic();
    for (std::size_t index = 0; index < inputs.size(); ++index) {
        const PartialShape& shape = inputs[index].partial_shape;
        if (std::optional<PartialShape> both = PartialShape::merge(merged, shape)) {
            merged = *std::move(both);
        } else {
            report.add("P3", "the shape of " + text_of(names[index]) + ": expected " +
                                 merged.to_string() + ", as " + text_of(names.front()) +
                                 " has, got " + shape.to_string());
        }
    }
    return merged;
}

std::string axes_to_string(const std::vector<std::int64_t>& axes) {
    std::vector<std::string> numbers;
    for (const std::int64_t axis : axes) {
        numbers.push_back(std::to_string(axis));
    }
    return "{" + join(numbers, ",") + "}";
}

/// Two axes whose order is known without the rank: both count from the same end.
bool ascend_for_every_rank(std::int64_t left, std::int64_t right) {
    return (left < 0) != (right < 0) || left < right;
}

// P4: the axes lie within the rank and ascend. What they are counted from the front, if the rank is
// known and they are valid; of unknown rank, nullopt.
std::optional<std::vector<std::size_t>> resolve_axes(std::string_view attribute,
                                                     const std::vector<std::int64_t>& axes,
                                                     std::string_view owner,
                                                     const PartialShape& shape, Report& report) {
    if (!shape.has_static_rank()) {
        for (std::size_t index = 1; index < axes.size(); ++index) {
            if (!ascend_for_every_rank(axes[index - 1], axes[index])) {
                report.add("P4", text_of(attribute) + ": expected axes that ascend, got " +
                                     axes_to_string(axes));
                break;
            }
        }
        return std::nullopt;
    }
    const auto rank = static_cast<std::int64_t>(shape.size());
    std::vector<std::size_t> resolved;
    std::int64_t previous = -1;
    for (const std::int64_t axis : axes) {
        const std::int64_t from_front = axis_from_front(axis, rank);
        if (from_front <= previous || from_front >= rank) {
            report.add("P4", text_of(attribute) + ": expected axes of " + text_of(owner) +
                                 " that ascend, within -" + std::to_string(rank) + " to " +
                                 std::to_string(rank - 1) + " for the shape " + shape.to_string() +
                                 ", got " + axes_to_string(axes));
            return std::nullopt;
        }
        resolved.push_back(static_cast<std::size_t>(from_front));
        previous = from_front;
    }
    return resolved;
}

// P5: value has one axis for each of the listed ones.
bool check_rank_of_value(std::string_view name, const PartialShape& value,
                         const std::vector<std::int64_t>& axes, Report& report) {
    if (!value.has_static_rank() || value.size() == axes.size()) {
        return true;
    }
    report.add("P5", "the rank of " + text_of(name) + ": expected " + std::to_string(axes.size()) +
                         ", as there are axes, got " + std::to_string(value.size()) +
                         ", the shape " + value.to_string());
    return false;
}

// P5: each axis of value has the length that `like` has there; what both know of it.
PartialShape merge_into_like(std::span<const std::string_view> names, const PartialShape& value,
                             PartialShape like, const std::vector<std::size_t>& axes,
                             Report& report) {
    for (std::size_t index = 0; index < axes.size() && value.has_static_rank(); ++index) {
        const std::size_t axis = axes[index];
        if (const auto both = Dimension::merge(value[index], like[axis])) {
            like = like.with_dimension(axis, *both);
        } else {
            report.add("P5", "axis " + std::to_string(index) + " of " + text_of(names[0]) +
                                 ": expected " + like[axis].to_string() + ", as axis " +
                                 std::to_string(axis) + " of " + text_of(names[1]) + " has, got " +
                                 value[index].to_string());
        }
    }
    return like;
}

// P6: a matrix has rank 2; its lengths after the transposition, if any.
std::pair<Dimension, Dimension> matrix_lengths(std::string_view name, const PartialShape& shape,
                                               bool transpose, Report& report) {
    if (!shape.has_static_rank()) {
        return {};
    }
    if (shape.size() != 2) {
        report.add("P6", "the rank of " + text_of(name) + ": expected 2, got " +
                             std::to_string(shape.size()) + ", the shape " + shape.to_string());
        return {};
    }
    return transpose ? std::pair{shape[1], shape[0]} : std::pair{shape[0], shape[1]};
}

// P8: upper_bound, rounded to the element type, is finite and > 0.
void check_upper_bound(std::optional<double> upper_bound, element::Type type, Report& report) {
    if (std::optional<std::string> fault = fault_of_upper_bound(upper_bound, type)) {
        report.add("P8", *std::move(fault));
    }
}

// P9: where is boolean.
void check_type_is_boolean(std::string_view name, element::Type type, Report& report) {
    if (!element::Type::merge(element::boolean, type)) {
        report.add("P9", "the element type of " + text_of(name) + ": expected boolean, got " +
                             text_of(type.name()));
    }
}

// P10: where has as many axes as value, each of its length or of 1.
void check_can_be_broadcast(std::span<const std::string_view> names, const PartialShape& where,
                            const PartialShape& value, Report& report) {
    if (!may_be_broadcast(where, value)) {
        report.add("P10", "the shape of " + text_of(names[1]) + ": expected " + value.to_string() +
                              ", as " + text_of(names[0]) +
                              " has, or 1 in the place of any length, got " + where.to_string());
    }
}

}  // namespace

bool may_be_broadcast(const PartialShape& shape, const PartialShape& whole) {
    if (!shape.has_static_rank() || !whole.has_static_rank()) {
        return true;
    }
    bool fits = shape.size() == whole.size();
    for (std::size_t axis = 0; axis < shape.size() && fits; ++axis) {
        fits = shape[axis].compatible(Dimension(1)) || shape[axis].compatible(whole[axis]);
    }
    return fits;
}

TensorType infer_elementwise(std::string_view type_name,
                             std::span<const std::string_view> input_names,
                             const std::vector<TensorType>& inputs,
                             std::optional<double> upper_bound) {
    check_one_type_per_input(type_name, input_names, inputs);
    Report report;
    const element::Type type = merge_types(input_names, inputs, report);
    check_type_is_real(input_names.front(), type, report);
    PartialShape shape = merge_shapes(input_names, inputs, report);
    check_upper_bound(upper_bound, type, report);
    report.throw_if_violated(type_name);
    return {type, std::move(shape)};
}

TensorType infer_reduction(std::string_view type_name,
                           std::span<const std::string_view> input_names,
                           const std::vector<TensorType>& inputs,
                           const std::vector<std::int64_t>& kept_axes) {
    check_one_type_per_input(type_name, input_names, inputs);
    const TensorType& value = inputs.front();
    Report report;
    check_type_is_real(input_names.front(), value.element_type, report);
    const auto axes =
        resolve_axes("kept_axes", kept_axes, input_names.front(), value.partial_shape, report);
    report.throw_if_violated(type_name);
    if (!axes) {
        return {value.element_type, PartialShape::dynamic(kept_axes.size())};
    }
    std::vector<Dimension> lengths;
    for (const std::size_t axis : *axes) {
        lengths.push_back(value.partial_shape[axis]);
    }
    return {value.element_type, PartialShape(std::move(lengths))};
}

TensorType infer_broadcast(std::string_view type_name,
                           std::span<const std::string_view> input_names,
                           const std::vector<TensorType>& inputs,
                           const std::vector<std::int64_t>& axes) {
    check_one_type_per_input(type_name, input_names, inputs);
    const TensorType& value = inputs[0];
    PartialShape shape = inputs[1].partial_shape;
    Report report;
    check_type_is_real(input_names[0], value.element_type, report);
    const auto resolved = resolve_axes("axes", axes, input_names[1], shape, report);
    const bool rank_fits = check_rank_of_value(input_names[0], value.partial_shape, axes, report);
    if (resolved && rank_fits) {
        shape =
            merge_into_like(input_names, value.partial_shape, std::move(shape), *resolved, report);
    }
    report.throw_if_violated(type_name);
    return {value.element_type, std::move(shape)};
}

TensorType infer_selection(std::string_view type_name,
                           std::span<const std::string_view> input_names,
                           const std::vector<TensorType>& inputs) {
    check_one_type_per_input(type_name, input_names, inputs);
    const TensorType& value = inputs[0];
    Report report;
    check_type_is_real(input_names[0], value.element_type, report);
    check_type_is_boolean(input_names[1], inputs[1].element_type, report);
    check_can_be_broadcast(input_names, inputs[1].partial_shape, value.partial_shape, report);
    report.throw_if_violated(type_name);
    return value;
}

TensorType infer_matrix_product(std::string_view type_name,
                                std::span<const std::string_view> input_names,
                                const std::vector<TensorType>& inputs, bool transpose_left,
                                bool transpose_right) {
    check_one_type_per_input(type_name, input_names, inputs);
    Report report;
    const element::Type type = merge_types(input_names, inputs, report);
    check_type_is_real(input_names.front(), type, report);
    const auto [rows, left_inner] =
        matrix_lengths(input_names[0], inputs[0].partial_shape, transpose_left, report);
    const auto [right_inner, columns] =
        matrix_lengths(input_names[1], inputs[1].partial_shape, transpose_right, report);
    if (!left_inner.compatible(right_inner)) {  // P7
        report.add("P7", "the inner lengths: expected one for both, got " + left_inner.to_string() +
                             " of " + text_of(input_names[0]) + " and " + right_inner.to_string() +
                             " of " + text_of(input_names[1]));
    }
    report.throw_if_violated(type_name);
    return {type, PartialShape{rows, columns}};
}

}  // namespace normgraph::op
