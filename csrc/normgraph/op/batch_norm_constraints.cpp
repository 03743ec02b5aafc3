#include "normgraph/op/batch_norm_constraints.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>
#include <string>
#include <utility>

#include "normgraph/indices/axis.hpp"
#include "normgraph/ir/text.hpp"
#include "normgraph/op/input_count.hpp"
#include "normgraph/op/primitive_constraints.hpp"
#include "normgraph/op/relu_mask.hpp"
#include "normgraph/op/report.hpp"
#include "normgraph/op/upper_bound.hpp"

namespace normgraph::op {

namespace {

struct NamedTensor {
    std::string_view name;
    const TensorType* type;
};

using NamedTensors = std::vector<NamedTensor>;
using Result = std::optional<Violation>;

/// The inputs of one op by their part: input and a gradient or residual of its shape, the channel
/// vectors, the mask (one at most), and which positions count. The vectors again by the type that
/// they share: gamma and beta, the statistics, to which an attribute that names their type belongs,
/// and the sums.
struct Inputs {
    NamedTensors data;
    NamedTensors vectors;
    NamedTensors affine;
    NamedTensors statistics;
    NamedTensors sums;
    NamedTensors masks;
    std::optional<NamedTensor> where;
};

/// One input's knowledge of C: a channel vector's axis 0, a data input's channel axis.
struct ChannelSource {
    NamedTensor tensor;
    std::size_t axis;
    bool is_data;

    const Dimension& channels() const { return tensor.type->partial_shape[axis]; }
};

using ChannelSources = std::vector<ChannelSource>;

NamedTensors& part_of(Role role, Inputs& inputs) {
    if (is_data(role)) {
        return inputs.data;
    }
    return role == Role::mask ? inputs.masks : inputs.vectors;
}

NamedTensors& type_group_of(Role role, Inputs& inputs) {
    if (is_sum(role)) {
        return inputs.sums;
    }
    return is_statistic(role) ? inputs.statistics : inputs.affine;
}

Inputs sort_into_parts(std::string_view type_name, SignatureView signature,
                       const std::vector<TensorType>& types) {
    check_one_type_per_input(type_name, signature, types);
    const std::span<const Port> ports = signature.inputs;
    Inputs inputs;
    inputs.data.reserve(ports.size());
    inputs.vectors.reserve(ports.size());
    for (std::size_t index = 0; index < ports.size(); ++index) {
        const Role role = ports[index].role;
        const NamedTensor tensor{ports[index].name, &types[index]};
        part_of(role, inputs).push_back(tensor);
        if (is_channel_vector(role)) {
            type_group_of(role, inputs).push_back(tensor);
        }
    }
    if (types.size() > ports.size()) {
        inputs.where = NamedTensor{signature.optional_input->name, &types.back()};
    }
    return inputs;
}

/// The first tensor whose element type is known; null if none is.
const NamedTensor* first_with_type(const NamedTensors& tensors) {
    const auto found = std::ranges::find_if(
        tensors, [](const NamedTensor& tensor) { return tensor.type->element_type.is_static(); });
    return found == tensors.end() ? nullptr : &*found;
}

/// The first tensor whose rank is known; null if none is.
const NamedTensor* first_with_rank(const NamedTensors& tensors) {
    const auto found = std::ranges::find_if(tensors, [](const NamedTensor& tensor) {
        return tensor.type->partial_shape.has_static_rank();
    });
    return found == tensors.end() ? nullptr : &*found;
}

element::Type known_type(const NamedTensors& tensors) {
    const NamedTensor* const tensor = first_with_type(tensors);
    return tensor == nullptr ? element::dynamic : tensor->type->element_type;
}

// ---- element types ------------------------------------------------------------------------------

// C2: the data have a real element type, known from whichever data input knows it.
Result check_data_type_is_real(const NamedTensors& data) {
    const NamedTensor* const known = first_with_type(data);
    if (known == nullptr || known->type->element_type.is_real()) {
        return std::nullopt;
    }
    return Violation{"C2", "the element type of " + text_of(known->name) +
                               ": expected f16, bf16, f32 or f64, got " +
                               text_of(known->type->element_type.name())};
}

// C3: normalized_delta has input's element type.
Result check_data_types_agree(const NamedTensors& data) {
    const element::Type expected = known_type(data);
    for (const NamedTensor& tensor : data) {
        const element::Type type = tensor.type->element_type;
        if (!element::Type::merge(expected, type)) {
            return Violation{"C3", "the element type of " + text_of(tensor.name) + ": expected " +
                                       text_of(expected.name()) + ", as " +
                                       text_of(data.front().name) + " has, got " +
                                       text_of(type.name())};
        }
    }
    return std::nullopt;
}

/// "gamma, beta and mean".
std::string names_of(const NamedTensors& tensors) {
    std::vector<std::string> names;
    for (const NamedTensor& tensor : tensors) {
        names.emplace_back(tensor.name);
    }
    return join_as_sentence(names, "and");
}

/// "f64" if all have one type, else "gamma=f64, beta=f16".
std::string describe_types(const NamedTensors& tensors) {
    std::vector<std::string> types;
    bool all_alike = true;
    for (const NamedTensor& tensor : tensors) {
        const element::Type type = tensor.type->element_type;
        all_alike = all_alike && type == tensors.front().type->element_type;
        types.push_back(text_of(tensor.name) + "=" + text_of(type.name()));
    }
    return all_alike ? text_of(tensors.front().type->element_type.name()) : join(types, ", ");
}

constexpr std::string_view statistics_type_name = "statistics_type";

/// "the element type of gamma: expected f32, got f64", for tensors with a known type.
Violation vector_type_violation(const NamedTensors& wrong, const std::string& expected) {
    const bool is_attribute = wrong.front().name == statistics_type_name;
    return {"C4", (is_attribute ? "" : "the element type of ") + names_of(wrong) + ": expected " +
                      expected + ", got " + describe_types(wrong)};
}

/// The tensors whose element type is known and satisfies the predicate.
template <typename Predicate>
NamedTensors with_known_type(const NamedTensors& tensors, Predicate predicate) {
    NamedTensors found;
    std::ranges::copy_if(tensors, std::back_inserter(found), [&](const NamedTensor& tensor) {
        const element::Type type = tensor.type->element_type;
        return type.is_static() && predicate(type);
    });
    return found;
}

NamedTensors with_known_type(const NamedTensors& tensors) {
    return with_known_type(tensors, [](element::Type) { return true; });
}

/// Whether vectors may have a type beside the data's.
using Fits = bool (*)(element::Type vector, element::Type data);

bool fits_as_affine(element::Type vector, element::Type data) {
    return vector == data || (vector == element::f32 && data.is_sixteen_bit_real());
}
bool fits_as_statistics(element::Type vector, element::Type data) {
    return vector == data || (vector.is_real() && vector.size() > data.size());
}

NamedTensors misfits(const NamedTensors& vectors, element::Type data, Fits fits) {
    return with_known_type(vectors, [&](element::Type type) { return !fits(type, data); });
}

/// "f16, as input has, or f32 or f64"
std::string fitting_types(const NamedTensor& data, Fits fits) {
    const element::Type type = data.type->element_type;
    std::vector<std::string> wider;
    for (const element::Type other : {element::f32, element::f64}) {
        if (other != type && fits(other, type)) {
            wider.push_back(text_of(other.name()));
        }
    }
    return text_of(type.name()) + ", as " + text_of(data.name) + " has" +
           (wider.empty() ? "" : ", or " + join_as_sentence(wider, "or"));
}

/// Vectors of a type that they may not have, and the ones that they may have.
struct WrongTypes {
    NamedTensors vectors;
    std::string expected;
};

/// Those of a group that shares a type, beside data of this type: real ones are all that may be
/// where it is null.
WrongTypes find_wrong_types(const NamedTensors& vectors, const NamedTensor* data, Fits fits) {
    if (data == nullptr) {
        return {with_known_type(vectors, [](element::Type type) { return !type.is_real(); }),
                "f16, bf16, f32 or f64"};
    }
    return {misfits(vectors, data->type->element_type, fits), fitting_types(*data, fits)};
}

// C4, first part: the type of each channel vector is real, and where the data's is known and is
// valid, it is that, or one that is wider.
bool check_vector_types(const Inputs& inputs, bool data_type_is_valid, Report& report) {
    const NamedTensor* const data = data_type_is_valid ? first_with_type(inputs.data) : nullptr;
    WrongTypes affine = find_wrong_types(inputs.affine, data, fits_as_affine);
    WrongTypes statistics = find_wrong_types(inputs.statistics, data, fits_as_statistics);
    if (affine.expected == statistics.expected) {
        std::ranges::copy(statistics.vectors, std::back_inserter(affine.vectors));
        statistics.vectors.clear();
    }
    for (const WrongTypes& wrong : {affine, statistics}) {
        if (!wrong.vectors.empty()) {
            report.holds(vector_type_violation(wrong.vectors, wrong.expected));
        }
    }
    return affine.vectors.empty() && statistics.vectors.empty();
}

// C4, second part: gamma and beta share one type, and so do mean and variance.
Result check_vector_types_agree(const NamedTensors& vectors) {
    const element::Type shared = known_type(vectors);
    const bool agree = std::ranges::all_of(vectors, [&](const NamedTensor& vector) {
        return element::Type::merge(shared, vector.type->element_type).has_value();
    });
    if (agree) {
        return std::nullopt;
    }
    return Violation{"C4", "the element types of " + names_of(vectors) +
                               ": expected one for both, got " +
                               describe_types(with_known_type(vectors))};
}

/// The types that the data may have beside these vectors.
std::vector<element::Type> possible_data_types(const Inputs& inputs) {
    std::vector<element::Type> possible;
    std::ranges::copy_if(std::array{element::f16, element::bf16, element::f32, element::f64},
                         std::back_inserter(possible), [&](element::Type data) {
                             return misfits(inputs.affine, data, fits_as_affine).empty() &&
                                    misfits(inputs.statistics, data, fits_as_statistics).empty();
                         });
    return possible;
}

// C4, third part: there is a type that data may have beside all of them.
Result check_vector_types_fit(const Inputs& inputs) {
    if (known_type(inputs.data).is_static() || !possible_data_types(inputs).empty()) {
        return std::nullopt;
    }
    NamedTensors vectors = inputs.affine;
    std::ranges::copy(inputs.statistics, std::back_inserter(vectors));
    return Violation{"C4", "the element types of " + names_of(with_known_type(vectors)) +
                               ": expected ones that go with one type of input, got " +
                               describe_types(with_known_type(vectors))};
}

// ---- rank and axis ------------------------------------------------------------------------------

// C5: the rank of input is at least 2, known from whichever data input knows it.
Result check_rank(const NamedTensors& data) {
    const NamedTensor* const known = first_with_rank(data);
    if (known == nullptr || known->type->partial_shape.size() >= 2) {
        return std::nullopt;
    }
    return Violation{"C5", "the rank of " + text_of(known->name) + ": expected at least 2, got " +
                               known->type->partial_shape.rank().to_string() + ", the shape " +
                               known->type->partial_shape.to_string()};
}

/// The axis counted from the front; nullopt if it lies outside the rank.
std::optional<std::size_t> resolve_axis(std::int64_t channel_axis, std::size_t rank) {
    const auto signed_rank = static_cast<std::int64_t>(rank);
    if (channel_axis < -signed_rank || channel_axis >= signed_rank) {
        return std::nullopt;
    }
    return static_cast<std::size_t>(axis_from_front(channel_axis, signed_rank));
}

// C6: channel_axis lies within the rank; any axis may, as long as no rank is known.
Result check_channel_axis(const NamedTensors& data, std::int64_t channel_axis) {
    const NamedTensor* const known = first_with_rank(data);
    if (known == nullptr || resolve_axis(channel_axis, known->type->partial_shape.size())) {
        return std::nullopt;
    }
    const std::string rank = known->type->partial_shape.rank().to_string();
    const std::string last = std::to_string(known->type->partial_shape.size() - 1);
    return Violation{"C6", "channel_axis: expected -" + rank + " to " + last + " for the rank of " +
                               text_of(known->name) + ", the shape " +
                               known->type->partial_shape.to_string() + ", got " +
                               std::to_string(channel_axis)};
}

// ---- shapes -------------------------------------------------------------------------------------

/// Which part of two shapes that do not merge is to blame: their ranks, or the first such axis.
std::string describe_difference(const PartialShape& left, const PartialShape& right) {
    if (left.size() != right.size()) {
        return "the ranks are " + std::to_string(left.size()) + " and " +
               std::to_string(right.size());
    }
    std::size_t axis = 0;
    while (left[axis].compatible(right[axis])) {
        ++axis;
    }
    return "axis " + std::to_string(axis) + " has " + left[axis].to_string() + " and " +
           right[axis].to_string();
}

// C7: normalized_delta's shape merges with input's; nothing is broadcast.
Result check_data_shapes_agree(const NamedTensors& data) {
    const NamedTensor& input = data.front();
    for (const NamedTensor& tensor : data) {
        const PartialShape& expected = input.type->partial_shape;
        const PartialShape& shape = tensor.type->partial_shape;
        if (!expected.compatible(shape)) {
            return Violation{"C7", "the shape of " + text_of(tensor.name) + ": expected " +
                                       expected.to_string() + ", as " + text_of(input.name) +
                                       " has, got " + shape.to_string() + " (" +
                                       describe_difference(expected, shape) + ")"};
        }
    }
    return std::nullopt;
}

/// A rank that is not known may be 1.
bool may_be_vector(const NamedTensor& tensor) {
    const PartialShape& shape = tensor.type->partial_shape;
    return !shape.has_static_rank() || shape.size() == 1;
}

// C8: each channel vector has rank 1.
Result check_vector_ranks(const NamedTensors& vectors) {
    std::vector<std::string> wrong;
    for (const NamedTensor& vector : vectors) {
        if (!may_be_vector(vector)) {
            const PartialShape& shape = vector.type->partial_shape;
            wrong.push_back(text_of(vector.name) + " has rank " + shape.rank().to_string() + " (" +
                            shape.to_string() + ")");
        }
    }
    if (wrong.empty()) {
        return std::nullopt;
    }
    return Violation{
        "C8", "the rank of each channel vector: expected 1, but " + join_as_sentence(wrong, "and")};
}

// ---- channels -----------------------------------------------------------------------------------

/// The data inputs' knowledge of C. Their shapes agree if C7 holds; else input speaks alone.
void append_channel_sources_of_data(const NamedTensors& data, std::int64_t channel_axis,
                                    bool shapes_agree, ChannelSources& sources) {
    for (const NamedTensor& tensor : data) {
        const PartialShape& shape = tensor.type->partial_shape;
        if (shape.has_static_rank() && (shapes_agree || sources.empty())) {
            sources.push_back({tensor, resolve_axis(channel_axis, shape.size()).value(), true});
        }
    }
}

void append_channel_sources_of_vectors(const NamedTensors& vectors, ChannelSources& sources) {
    for (const NamedTensor& vector : vectors) {
        if (vector.type->partial_shape.has_static_rank() && may_be_vector(vector)) {
            sources.push_back({vector, 0, false});
        }
    }
}

/// The intersection of what all know of C; nullopt if it is empty.
std::optional<Dimension> merge_channels(const ChannelSources& sources) {
    std::optional<Dimension> merged = Dimension::dynamic();
    for (const ChannelSource& source : sources) {
        merged = merged ? Dimension::merge(*merged, source.channels()) : merged;
    }
    return merged;
}

std::string describe_data_channels(const ChannelSource& source) {
    return text_of(source.tensor.name) + " has " + source.channels().to_string() + " (axis " +
           std::to_string(source.axis) + " of " + source.tensor.type->partial_shape.to_string() +
           ")";
}

/// "gamma has 32", "beta and mean have 64": the vectors of this length, in one clause.
std::string describe_vector_channels(const ChannelSources& sources, const Dimension& length) {
    std::vector<std::string> names;
    for (const ChannelSource& source : sources) {
        if (!source.is_data && source.channels() == length) {
            names.emplace_back(source.tensor.name);
        }
    }
    return join_as_sentence(names, "and") + (names.size() == 1 ? " has " : " have ") +
           length.to_string();
}

/// One clause per length that is known at all, the data inputs with the shape they have it from.
std::vector<std::string> describe_channels(const ChannelSources& sources) {
    std::vector<std::string> clauses;
    for (const ChannelSource& source : sources) {
        // The data inputs come first; the second one adds nothing if it has the first one's length.
        const bool is_repeated = source.is_data && &source != &sources.front() &&
                                 source.channels() == sources.front().channels();
        if (source.channels() == Dimension::dynamic() || is_repeated) {
            continue;
        }
        std::string clause = source.is_data ? describe_data_channels(source)
                                            : describe_vector_channels(sources, source.channels());
        if (std::ranges::find(clauses, clause) == clauses.end()) {
            clauses.push_back(std::move(clause));
        }
    }
    return clauses;
}

// C9: all agree on C. Intervals on a line have a common point if every two of them have one.
Result check_channels_agree(const ChannelSources& sources) {
    if (merge_channels(sources)) {
        return std::nullopt;
    }
    return Violation{"C9",
                     "the number of channels differs: " + join(describe_channels(sources), ", ")};
}

// C10: there is at least one channel. Where the merged C is 0, some input alone says so.
Result check_channels_exist(const ChannelSources& sources) {
    for (const ChannelSource& source : sources) {
        if (source.channels().max_length() == 0) {
            return Violation{
                "C10", "the number of channels: expected at least 1, but " +
                           (source.is_data ? describe_data_channels(source)
                                           : describe_vector_channels(sources, Dimension(0)))};
        }
    }
    return std::nullopt;
}

// ---- the mask -----------------------------------------------------------------------------------

// C11: mask has the element type u8.
Result check_mask_type(const NamedTensors& masks) {
    for (const NamedTensor& mask : masks) {
        const element::Type type = mask.type->element_type;
        if (!element::Type::merge(element::u8, type)) {
            return Violation{"C11", "the element type of " + text_of(mask.name) +
                                        ": expected u8, got " + text_of(type.name())};
        }
    }
    return std::nullopt;
}

// C12: the shape of mask is that of the packed bits of input.
Result check_mask_shape(const NamedTensors& masks, const PartialShape& data,
                        std::int64_t channel_axis, const Dimension& channels) {
    const PartialShape expected = relu_mask_shape(data, channel_axis, channels);
    for (const NamedTensor& mask : masks) {
        const PartialShape& shape = mask.type->partial_shape;
        if (!shape.compatible(expected)) {
            return Violation{"C12", "the shape of " + text_of(mask.name) + ": expected " +
                                        expected.to_string() + ", a bit for each element of " +
                                        data.to_string() + " with channel_axis " +
                                        std::to_string(channel_axis) + ", got " +
                                        shape.to_string()};
        }
    }
    return std::nullopt;
}

// ---- the ReLU -----------------------------------------------------------------------------------

// C13: upper_bound, rounded to input's element type, is finite and > 0.
Result check_upper_bound(std::optional<double> upper_bound, element::Type data) {
    if (std::optional<std::string> fault = fault_of_upper_bound(upper_bound, data)) {
        return Violation{"C13", *std::move(fault)};
    }
    return std::nullopt;
}

// ---- the sums of a backward pass --------------------------------------------------------------

// C14: beta_delta and gmul_delta have the element type f64.
Result check_sum_types(const NamedTensors& sums) {
    const NamedTensors wrong =
        with_known_type(sums, [](element::Type type) { return type != element::f64; });
    if (wrong.empty()) {
        return std::nullopt;
    }
    return Violation{"C14", "the element type of " + names_of(wrong) + ": expected f64, got " +
                                describe_types(wrong)};
}

/// The fewest elements that a channel may have; nullopt if they are more than 64 bits count.
std::optional<std::int64_t> fewest_elements(const PartialShape& data, std::int64_t channel_axis) {
    if (!data.has_static_rank()) {
        return 0;
    }
    const std::size_t channels = resolve_axis(channel_axis, data.size()).value();
    std::int64_t fewest = 1;
    bool is_beyond = false;
    for (std::size_t axis = 0; axis < data.size(); ++axis) {
        const std::int64_t length = axis == channels ? 1 : data[axis].min_length();
        if (length == 0) {
            return 0;
        }
        is_beyond = is_beyond || fewest > std::numeric_limits<std::int64_t>::max() / length;
        fewest = is_beyond ? fewest : fewest * length;
    }
    return is_beyond ? std::nullopt : std::optional(fewest);
}

Violation count_violation(const std::string& expected, std::int64_t count) {
    return {"C15", "count: expected " + expected + ", got " + std::to_string(count)};
}

// C15, first part: count is not negative.
Result check_count_is_not_negative(std::optional<std::int64_t> count) {
    if (!count || *count >= 0) {
        return std::nullopt;
    }
    return count_violation("a number of elements >= 0", *count);
}

// C15, second part: count is at least the number of elements per channel of input, if all count.
Result check_count(std::optional<std::int64_t> count, const NamedTensor& input,
                   const PartialShape& data, std::int64_t channel_axis) {
    if (!count) {
        return std::nullopt;
    }
    const std::optional<std::int64_t> fewest = fewest_elements(data, channel_axis);
    if (fewest && *count >= *fewest) {
        return std::nullopt;
    }
    return count_violation("at least " + (fewest ? std::to_string(*fewest) : "2^63") +
                               ", the least number of elements per channel of " +
                               text_of(input.name) + ", the shape " + data.to_string() +
                               " with channel_axis " + std::to_string(channel_axis),
                           *count);
}

// ---- which positions count ----------------------------------------------------------------------

// C16: where has the element type boolean.
Result check_where_type(const NamedTensor& where) {
    const element::Type type = where.type->element_type;
    if (element::Type::merge(element::boolean, type)) {
        return std::nullopt;
    }
    return Violation{"C16", "the element type of " + text_of(where.name) +
                                ": expected boolean, got " + text_of(type.name())};
}

// C17: where has the shape of input with 1 at channel_axis; any other length may be 1 as well.
Result check_where_shape(const NamedTensor& where, const PartialShape& data,
                         std::int64_t channel_axis) {
    if (!data.has_static_rank()) {
        return std::nullopt;
    }
    const PartialShape positions =
        data.with_dimension(resolve_axis(channel_axis, data.size()).value(), Dimension(1));
    const PartialShape& shape = where.type->partial_shape;
    if (may_be_broadcast(shape, positions)) {
        return std::nullopt;
    }
    return Violation{"C17", "the shape of " + text_of(where.name) + ": expected " +
                                positions.to_string() + ", which is " + data.to_string() +
                                " with 1 at channel_axis " + std::to_string(channel_axis) +
                                ", or 1 in the place of any length, got " + shape.to_string()};
}

// ---- what follows for the outputs ---------------------------------------------------------------

/// Types of vectors may leave several for the data: f32 ones say little.
element::Type infer_data_type(const Inputs& inputs) {
    const element::Type data = known_type(inputs.data);
    const std::vector<element::Type> possible = possible_data_types(inputs);
    return data.is_dynamic() && possible.size() == 1 ? possible.front() : data;
}

/// 16-bit data alone say nothing of gamma and beta: they may be f32.
element::Type infer_affine_type(const Inputs& inputs) {
    const element::Type data = infer_data_type(inputs);
    const element::Type affine = known_type(inputs.affine);
    return affine.is_dynamic() && !data.is_sixteen_bit_real() ? data : affine;
}

PartialShape infer_data_shape(const NamedTensors& data, std::int64_t channel_axis,
                              const Dimension& channels) {
    PartialShape merged = PartialShape::dynamic();
    for (const NamedTensor& tensor : data) {
        merged = PartialShape::merge(merged, tensor.type->partial_shape).value();
    }
    if (!merged.has_static_rank()) {
        return merged;
    }
    return merged.with_dimension(resolve_axis(channel_axis, merged.size()).value(), channels);
}

void check_element_types(const Inputs& inputs, Report& report) {
    const bool is_real = report.holds(check_data_type_is_real(inputs.data));  // C2
    const bool agree = report.holds(check_data_types_agree(inputs.data));     // C3
    if (check_vector_types(inputs, is_real && agree, report) &&               // C4
        report.holds(check_vector_types_agree(inputs.affine)) &&              // C4
        report.holds(check_vector_types_agree(inputs.statistics))) {          // C4
        report.holds(check_vector_types_fit(inputs));                         // C4
    }
}

/// The shape of the data and C, from all that know them; nullopt where they disagree.
struct Shapes {
    PartialShape data;
    Dimension channels;
};

std::optional<Shapes> check_shapes(const Inputs& inputs, std::int64_t channel_axis,
                                   Report& report) {
    const bool axis_is_valid = report.holds(check_rank(inputs.data)) &&                      // C5
                               report.holds(check_channel_axis(inputs.data, channel_axis));  // C6
    const bool shapes_agree = report.holds(check_data_shapes_agree(inputs.data));            // C7
    report.holds(check_vector_ranks(inputs.vectors));                                        // C8
    ChannelSources sources;
    sources.reserve(inputs.data.size() + inputs.vectors.size());
    if (axis_is_valid) {
        append_channel_sources_of_data(inputs.data, channel_axis, shapes_agree, sources);
    }
    append_channel_sources_of_vectors(inputs.vectors, sources);
    const bool channels_agree = report.holds(check_channels_agree(sources));  // C9
    if (channels_agree) {
        report.holds(check_channels_exist(sources));  // C10
    }
    if (!axis_is_valid || !shapes_agree || !channels_agree) {
        return std::nullopt;
    }
    const Dimension channels = merge_channels(sources).value();
    return Shapes{infer_data_shape(inputs.data, channel_axis, channels), channels};
}

}  // namespace

std::vector<std::string_view> constraints_of(SignatureView signature, AttributesOfOp attributes) {
    const bool has_several_data = std::ranges::count_if(signature.inputs, is_data, &Port::role) > 1;
    const bool has_vectors = std::ranges::any_of(signature.inputs, is_channel_vector, &Port::role);
    const bool has_mask = has(signature.inputs, Role::mask);
    const bool has_sums = std::ranges::any_of(signature.inputs, is_sum, &Port::role);
    const bool has_where = signature.optional_input.has_value();
    const std::pair<std::string_view, bool> of_family[] = {{"C1", attributes.has_epsilon},
                                                           {"C2", true},
                                                           {"C3", has_several_data},
                                                           {"C4", has_vectors},
                                                           {"C5", true},
                                                           {"C6", true},
                                                           {"C7", has_several_data},
                                                           {"C8", has_vectors},
                                                           {"C9", has_vectors},
                                                           {"C10", true},
                                                           {"C11", has_mask},
                                                           {"C12", has_mask},
                                                           {"C13", attributes.has_upper_bound},
                                                           {"C14", has_sums},
                                                           {"C15", attributes.has_count},
                                                           {"C16", has_where},
                                                           {"C17", has_where}};
    std::vector<std::string_view> labels;
    for (const auto& [label, applies] : of_family) {
        if (applies) {
            labels.push_back(label);
        }
    }
    return labels;
}

bool vector_type_fits(Role role, element::Type vector, element::Type data) {
    return (is_statistic(role) ? fits_as_statistics : fits_as_affine)(vector, data);
}

// C1: epsilon is finite and >= 0.
Result check_epsilon(double epsilon) {
    if (std::isfinite(epsilon) && epsilon >= 0) {
        return std::nullopt;
    }
    return Violation{"C1", "epsilon: expected a finite number >= 0, got " + format_number(epsilon)};
}

std::vector<TensorType> infer_batch_norm(std::string_view type_name, SignatureView signature,
                                         const std::vector<TensorType>& inputs,
                                         const BatchNormAttributes& attributes) {
    const auto& [epsilon, channel_axis, statistics_type, upper_bound, count] = attributes;
    Inputs parts = sort_into_parts(type_name, signature, inputs);
    const TensorType of_statistics{statistics_type.value_or(element::dynamic),
                                   PartialShape::dynamic(1)};
    if (statistics_type) {
        parts.statistics.push_back({statistics_type_name, &of_statistics});
    }
    Report report;
    report.holds(check_epsilon(epsilon));  // C1
    check_element_types(parts, report);
    if (statistics_type && statistics_type->is_dynamic()) {
        report.add("C4", "statistics_type: expected f16, bf16, f32 or f64, got dynamic");
    }
    const std::optional<Shapes> shapes = check_shapes(parts, channel_axis, report);
    report.holds(check_mask_type(parts.masks));  // C11
    if (shapes) {
        report.holds(
            check_mask_shape(parts.masks, shapes->data, channel_axis, shapes->channels));  // C12
    }
    report.holds(check_upper_bound(upper_bound, infer_data_type(parts)));  // C13
    report.holds(check_sum_types(parts.sums));                             // C14
    // How many count is told by what where holds.
    if (report.holds(check_count_is_not_negative(count)) && shapes && !parts.where) {      // C15
        report.holds(check_count(count, parts.data.front(), shapes->data, channel_axis));  // C15
    }
    if (parts.where) {
        report.holds(check_where_type(*parts.where));  // C16
        if (shapes) {
            report.holds(check_where_shape(*parts.where, shapes->data, channel_axis));  // C17
        }
    }
    report.throw_if_violated(type_name);

    const auto& [data, channels] = shapes.value();
    std::vector<TensorType> outputs;
    outputs.reserve(signature.outputs.size());
    for (const Port& output : signature.outputs) {
        if (output.role == Role::mask) {
            outputs.push_back({element::u8, relu_mask_shape(data, channel_axis, channels)});
        } else if (is_sum(output.role)) {
            outputs.push_back({element::f64, PartialShape{channels}});
        } else if (is_channel_vector(output.role)) {
            const bool is_of_given_type = is_statistic(output.role) && statistics_type;
            outputs.push_back({is_of_given_type ? *statistics_type : infer_affine_type(parts),
                               PartialShape{channels}});
        } else {
            outputs.push_back({infer_data_type(parts), data});
        }
    }
    return outputs;
}

}  // namespace normgraph::op
