#include "normgraph/runtime/batch_part.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "normgraph/indices/axis.hpp"
#include "normgraph/kernel/center.hpp"
#include "normgraph/kernel/layout.hpp"
#include "normgraph/kernel/moments.hpp"
#include "normgraph/op/batch_norm_constraints.hpp"
#include "normgraph/op/batch_norm_node.hpp"
#include "normgraph/op/signature.hpp"
#include "normgraph/runtime/kernel_arguments.hpp"

namespace normgraph::runtime {
namespace {

constexpr std::array statistics_ports{op::ports::input};
constexpr std::array backprop_sums_ports{
    op::ports::input, op::ports::forward_mean, op::ports::forward_variance,
    op::ports::normalized_delta,
    op::Port{"mask", op::Role::mask,
             "u8, C-contiguous: that of a ReLU which normalized went through, or None"}};

std::vector<TensorType> types_of(std::span<const OptionalArray> arrays) {
    std::vector<TensorType> types;
    for (const OptionalArray& array : arrays) {
        types.push_back(array->tensor_type());
    }
    return types;
}

void check_inputs(std::string_view name, std::span<const op::Port> ports,
                  std::span<const OptionalArray> inputs, std::int64_t channel_axis) {
    static_cast<void>(op::infer_batch_norm(name, {ports, {}}, types_of(inputs),
                                           {op::default_epsilon, channel_axis}));
    check_element_limit("input", *inputs[0]);
}

/// The kernel's problem, and how its elements are samples.
struct PartProblem {
    kernel::Problem problem;
    kernel::LayoutClass layout_class;
    kernel::PartSamples samples;

    PartProblem(const Array& data, element::Type statistics_type, const PartOptions& options)
        : problem{.shape = data.shape,
                  .channel_axis = axis_from_front(options.channel_axis,
                                                  static_cast<std::int64_t>(data.shape.size())),
                  .data_type = kernel_type(data.element_type),
                  .affine_type = kernel_type(data.element_type),
                  .statistics_type = kernel_type(statistics_type),
                  .epsilon = 0.0},
          layout_class(kernel::layout_class_of(problem, data.strides)) {
        const kernel::SampleExtents extents = kernel::sample_extents(problem);
        const kernel::SummationOrder order = kernel::summation_order(problem, data.strides);
        samples = {options.first_sample, extents.samples, kernel::samples_per_leaf(order, extents),
                   extents.rows * extents.length, options.positions};
    }

    std::int64_t channels() const { return kernel::all_channels(problem).end; }
    bool is_empty() const { return samples.count * samples.elements == 0; }
    std::int64_t leaf_count() const {
        return is_empty() ? 0 : divide_up(samples.count, samples.per_leaf);
    }

    /// The nodes of what `reduce(leaves)` writes.
    template <typename Reduce>
    kernel::PartNodes nodes(kernel::NodeKind kind, const Reduce& reduce) const {
        if (is_empty()) {
            return {kind, channels(), samples.first};
        }
        std::vector<double> leaves(static_cast<std::size_t>(2 * leaf_count() * channels()));
        reduce(leaves.data());
        return {kind, channels(), samples, leaves};
    }
};

/// A NaN is equal to any other.
bool is_equal_center(double left, double right) {
    return left == right || (std::isnan(left) && std::isnan(right));
}

std::string_view name_of(PartKind kind) {
    switch (kind) {
        case PartKind::statistics:
            return "statistics";
        case PartKind::centered_statistics:
            return "statistics about a mean (the second pass of f64)";
        case PartKind::backprop_sums:
            break;
    }
    return "sums of a backward pass";
}

kernel::NodeKind node_kind(PartKind kind) {
    return kind == PartKind::statistics ? kernel::NodeKind::moments : kernel::NodeKind::sums;
}

// ---- bytes --------------------------------------------------------------------------------------

constexpr std::array<char, 4> magic{'N', 'G', 'B', 'P'};
constexpr std::int64_t format_version = 1;
static_assert(std::endian::native == std::endian::little);

/// Numbers of 8 bytes each, after the magic and the format's version in 4 bytes each.
class Writer {
public:
    Writer() {
        write_bytes(magic);
        write_bytes(std::array{static_cast<std::int32_t>(format_version)});
    }
    void write(std::int64_t number) { write_bytes(std::array{number}); }
    template <typename Number>
    void write(const std::vector<Number>& numbers) {
        write_bytes(numbers);
    }
    std::vector<std::byte> bytes() && { return std::move(bytes_); }

private:
    template <typename Numbers>
    void write_bytes(const Numbers& numbers) {
        // No insertion, in which GCC 12 sees a write beyond the end.
        const auto bytes = std::as_bytes(std::span(numbers));
        const std::size_t size = bytes_.size();
        bytes_.resize(size + bytes.size());
        if (!bytes.empty()) {
            std::memcpy(bytes_.data() + size, bytes.data(), bytes.size());
        }
    }
    std::vector<std::byte> bytes_;
};

[[noreturn]] void refuse_bytes(const std::string& what) {
    throw std::invalid_argument("expected the bytes of a part of a batch, got " + what);
}

class Reader {
public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {
        if (bytes.size() < 8 || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) {
            refuse_bytes("others");
        }
        std::int32_t version = 0;
        std::memcpy(&version, bytes.data() + magic.size(), sizeof(version));
        if (version != format_version) {
            refuse_bytes("those of version " + std::to_string(version) + " of the format");
        }
        bytes_ = bytes.subspan(8);
    }
    /// A number from 0 to `largest`.
    std::int64_t read(std::int64_t largest) {
        const std::int64_t number = read_some<std::int64_t>(1).front();
        if (number < 0 || number > largest) {
            refuse_bytes("damaged ones");
        }
        return number;
    }
    template <typename Number>
    std::vector<Number> read_some(std::int64_t count) {
        // Compared so that no product overflows.
        if (static_cast<std::uint64_t>(count) > bytes_.size() / sizeof(Number)) {
            refuse_bytes("fewer than there were");
        }
        std::vector<Number> numbers(static_cast<std::size_t>(count));
        const std::size_t size = numbers.size() * sizeof(Number);
        if (size > 0) {
            std::memcpy(numbers.data(), bytes_.data(), size);
        }
        bytes_ = bytes_.subspan(size);
        return numbers;
    }
    void expect_end() const {
        if (!bytes_.empty()) {
            refuse_bytes("more than there were");
        }
    }

private:
    std::span<const std::byte> bytes_;
};

/// `values`: [node][2][channel], the second of them Σ(x − mean)².
bool has_negative_squares(const std::vector<double>& values, std::int64_t channels) {
    const auto count = static_cast<std::size_t>(channels);
    for (std::size_t index = 0; index < values.size(); ++index) {
        if (index / count % 2 == 1 && values[index] < 0.0) {
            return true;
        }
    }
    return false;
}

constexpr std::int64_t largest_number = std::numeric_limits<std::int64_t>::max();

}  // namespace

BatchPart::BatchPart(PartKind kind, element::Type data_type, kernel::LayoutClass layout_class,
                     std::vector<double> center, kernel::PartNodes nodes)
    : kind_(kind),
      data_type_(data_type),
      layout_class_(layout_class),
      center_(std::move(center)),
      nodes_(std::move(nodes)) {}

std::optional<std::int64_t> BatchPart::first_sample() const {
    return nodes_.is_placed() ? std::optional(nodes_.boundaries().front()) : std::nullopt;
}

MeanAndVariance BatchPart::statistics() const {
    const auto count = static_cast<double>(this->count());
    const auto channels = static_cast<std::size_t>(this->channels());
    const std::vector<double> total = nodes_.total();
    MeanAndVariance result;
    for (std::size_t channel = 0; channel < channels; ++channel) {
        kernel::Moments moments{total[channel], total[channels + channel]};
        if (kind_ == PartKind::centered_statistics) {
            moments =
                kernel::moments_of_block(center_[channel], moments.mean, moments.squares, count);
        }
        const bool is_empty = count == 0.0;
        result.mean.push_back(is_empty ? std::numeric_limits<double>::quiet_NaN() : moments.mean);
        result.variance.push_back(moments.squares / count);
    }
    return result;
}

std::vector<double> BatchPart::sums() const {
    std::vector<double> total = nodes_.total();
    kernel::with_data_type(kernel_type(data_type_), [&]<typename Data>() {
        for (std::size_t channel = 0; channel < center_.size(); ++channel) {
            double& products = total[center_.size() + channel];
            products = kernel::products_about<Data>(center_[channel], products, total[channel]);
        }
    });
    return total;
}

BatchPart BatchPart::followed_by(const BatchPart& following) const {
    if (kind_ != following.kind_) {
        throw std::invalid_argument("expected " + std::string(name_of(kind_)) +
                                    " to follow such, got " +
                                    std::string(name_of(following.kind_)));
    }
    if (channels() != following.channels()) {
        throw std::invalid_argument("expected a part of " + std::to_string(channels()) +
                                    " channels to follow one of as many, got one of " +
                                    std::to_string(following.channels()));
    }
    if (!std::ranges::equal(center_, following.center_, is_equal_center)) {
        throw std::invalid_argument(
            "expected parts that were summed about the same means, got others: every part takes "
            "those of the whole batch");
    }
    const BatchPart& described = count() == 0 ? following : *this;
    kernel::PartNodes nodes = nodes_;
    nodes.append(following.nodes_);
    return {kind_, described.data_type_, described.layout_class_, center_, std::move(nodes)};
}

bool BatchPart::is_about(const Array& mean) const {
    const kernel::ElementType type = kernel_type(mean.element_type);
    const std::byte* address = mean.address;
    return std::ranges::all_of(center_, [&](double center) {
        const bool is_equal = is_equal_center(center, kernel::load_as_double(type, address));
        address += mean.strides[0];
        return is_equal;
    });
}

std::vector<std::byte> BatchPart::to_bytes() const {
    Writer writer;
    writer.write(kernel::summation_order_version);
    writer.write(static_cast<std::int64_t>(kind_));
    writer.write(static_cast<std::int64_t>(data_type_.kind()));
    writer.write(static_cast<std::int64_t>(layout_class_));
    writer.write(channels());
    writer.write(nodes_.is_placed() ? 1 : 0);
    writer.write(static_cast<std::int64_t>(nodes_.elements().size()));
    writer.write(nodes_.boundaries());
    writer.write(nodes_.elements());
    writer.write(center_);
    writer.write(nodes_.values());
    return std::move(writer).bytes();
}

BatchPart BatchPart::from_bytes(std::span<const std::byte> bytes) {
    Reader reader(bytes);
    if (const std::int64_t order = reader.read(largest_number);
        order != kernel::summation_order_version) {
        refuse_bytes("those of version " + std::to_string(order) +
                     " of the order of summation, where this is " +
                     std::to_string(kernel::summation_order_version));
    }
    const auto kind =
        static_cast<PartKind>(reader.read(static_cast<std::int64_t>(PartKind::backprop_sums)));
    const element::Type type{static_cast<element::Type::Kind>(
        reader.read(static_cast<std::int64_t>(element::Type::Kind::f64)))};
    if (!type.is_real()) {
        refuse_bytes("damaged ones");
    }
    const auto layout = static_cast<kernel::LayoutClass>(reader.read(1));
    const std::int64_t channels = reader.read(largest_number);
    if (channels == 0) {
        refuse_bytes("damaged ones");
    }
    const bool is_placed = reader.read(1) == 1;
    const std::int64_t nodes = reader.read(largest_number / 4);
    auto boundaries = reader.read_some<std::int64_t>(nodes + 1);
    auto elements = reader.read_some<std::int64_t>(nodes);
    auto center = reader.read_some<double>(kind == PartKind::statistics ? 0 : channels);
    // Compared so that the product below does not overflow.
    if (nodes > 0 && channels > static_cast<std::int64_t>(bytes.size()) / nodes) {
        refuse_bytes("fewer than there were");
    }
    auto values = reader.read_some<double>(nodes == 0 ? 0 : 2 * nodes * channels);
    reader.expect_end();
    if (kind == PartKind::statistics && has_negative_squares(values, channels)) {
        refuse_bytes("damaged ones");
    }
    try {
        return {kind, type, layout, std::move(center),
                kernel::PartNodes(node_kind(kind), channels, is_placed, std::move(boundaries),
                                  std::move(elements), std::move(values))};
    } catch (const std::exception&) {
        refuse_bytes("damaged ones");
    }
}

std::int64_t BatchPart::byte_count(PartKind kind, const Array& input, std::int64_t channel_axis) {
    const PartProblem part(input, element::f64, {channel_axis, std::nullopt, 1, nullptr});
    const std::int64_t nodes = part.leaf_count();
    const std::int64_t center = kind == PartKind::statistics ? 0 : part.channels();
    const std::int64_t boundaries = nodes + 1;
    return 8 + 8 * (7 + boundaries + nodes + center + 2 * nodes * part.channels());
}

std::span<const op::Port> statistics_inputs() {
    return statistics_ports;
}

std::span<const op::Port> backprop_sums_inputs() {
    return backprop_sums_ports;
}

void check_statistics_inputs(const Array& input, const PartOptions& options,
                             const BatchPart* about) {
    const OptionalArray array = input;
    check_inputs("batch_norm_statistics", statistics_ports, {&array, 1}, options.channel_axis);
    if (about == nullptr) {
        return;
    }
    if (input.element_type != element::f64) {
        throw std::invalid_argument("about: expected None beside input of " +
                                    std::string(input.element_type.name()) +
                                    ": only the statistics of f64 take a second pass");
    }
    const PartProblem part(input, input.element_type, options);
    if (about->kind() != PartKind::statistics || about->count() == 0 ||
        about->channels() != part.channels()) {
        throw std::invalid_argument(
            "about: expected the statistics of the whole batch, from a first pass, of " +
            std::to_string(part.channels()) + " channels, got " +
            std::string(name_of(about->kind())) + " of " + std::to_string(about->count()) +
            " elements in " + std::to_string(about->channels()) + " channels");
    }
}

void check_backprop_sums_inputs(std::span<const OptionalArray> inputs, const PartOptions& options) {
    const std::size_t count = inputs.back() ? inputs.size() : inputs.size() - 1;
    check_inputs("batch_norm_backprop_sums", backprop_sums_inputs().first(count),
                 inputs.first(count), options.channel_axis);
}

BatchPart batch_norm_statistics(const Array& input, const PartOptions& options,
                                const BatchPart* about) {
    const PartProblem part(input, input.element_type, options);
    const bool is_centered = about != nullptr;
    std::vector<double> center;
    if (is_centered) {
        center = about->statistics().mean;
        std::ranges::replace_if(center, [](double mean) { return !std::isfinite(mean); }, 0.0);
    }
    const PartKind kind = is_centered ? PartKind::centered_statistics : PartKind::statistics;
    kernel::PartNodes nodes = part.nodes(node_kind(kind), [&](double* leaves) {
        kernel::run(
            kernel::BatchNormStatisticsArguments{.problem = part.problem,
                                                 .input = const_tensor(input),
                                                 .center = is_centered ? center.data() : nullptr,
                                                 .leaves = leaves,
                                                 .positions = options.positions},
            options.num_threads, *options.implementation);
    });
    return {kind, input.element_type, part.layout_class, std::move(center), std::move(nodes)};
}

BatchPart batch_norm_backprop_sums(std::span<const OptionalArray> inputs,
                                   const PartOptions& options) {
    const Array& input = *inputs[0];
    const Array& mean = *inputs[1];
    const PartProblem part(input, mean.element_type, options);
    std::vector<double> center;
    for (std::int64_t channel = 0; channel < part.channels(); ++channel) {
        center.push_back(kernel::load_as_double(part.problem.statistics_type,
                                                mean.address + channel * mean.strides[0]));
    }
    const kernel::ReluMask mask = relu_mask("mask", inputs[4]);
    kernel::PartNodes nodes = part.nodes(kernel::NodeKind::sums, [&](double* leaves) {
        kernel::run(
            kernel::BatchNormBackpropSumsArguments{.problem = part.problem,
                                                   .input = const_tensor(input),
                                                   .mean = const_channel_vector(mean),
                                                   .normalized_delta = const_tensor(inputs[3]),
                                                   .mask = {mask.address},
                                                   .leaves = leaves,
                                                   .positions = options.positions},
            options.num_threads, *options.implementation);
    });
    return {PartKind::backprop_sums, input.element_type, part.layout_class, std::move(center),
            std::move(nodes)};
}

}  // namespace normgraph::runtime
