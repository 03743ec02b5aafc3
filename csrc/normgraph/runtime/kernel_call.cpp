#include "normgraph/runtime/kernel_call.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "normgraph/op/batch_norm_family.hpp"
#include "normgraph/runtime/kernel_arguments.hpp"

#include "normgraph/indices/axis.hpp"
#include "normgraph/kernel/counted_positions.hpp"
#include "normgraph/kernel/strided/extents.hpp"

namespace normgraph::runtime {
namespace {

std::vector<TensorType> tensor_types(std::span<const OptionalArray> inputs) {
    std::vector<TensorType> types;
    types.reserve(inputs.size());
    for (const OptionalArray& input : inputs) {
        types.push_back(input ? input->tensor_type()
                              : TensorType{element::dynamic, PartialShape::dynamic(1)});
    }
    return types;
}

std::vector<TensorType> validate_anew(const KernelCall& call, std::span<const OptionalArray> inputs,
                                      const op::BatchNormAttributes& attributes) {
    std::vector<TensorType> outputs = call.infer(tensor_types(inputs), attributes);
    check_element_limit("input", *inputs[0]);
    for (TensorType& output : outputs) {
        if (output.element_type.is_dynamic()) {
            output.element_type = element::f32;
        }
    }
    return outputs;
}

void check_elements(const Array& input) {
    if (input.is_empty()) {
        throw std::invalid_argument(
            "input: expected at least one element per channel, since an empty batch has no "
            "statistics, got shape " +
            input.tensor_type().partial_shape.to_string());
    }
}

/// All that `validate_anew` depends on, as numbers to compare.
class Signature {
public:
    Signature(std::span<const OptionalArray> inputs, const op::BatchNormAttributes& attributes) {
        size_ = 5 + inputs.size();
        for (const OptionalArray& input : inputs) {
            size_ += input ? input->shape.size() : 0;
        }
        if (fits()) {
            std::int64_t* next = numbers_.data();
            *next++ = std::bit_cast<std::int64_t>(attributes.epsilon);
            *next++ = attributes.channel_axis;
            *next++ = attributes.statistics_type ? kind_number(*attributes.statistics_type) : -1;
            *next++ = attributes.upper_bound ? 1 : 0;
            *next++ = std::bit_cast<std::int64_t>(attributes.upper_bound.value_or(0));
            for (const OptionalArray& input : inputs) {
                *next++ = input ? rank_and_type(*input) : -1;
                if (input) {
                    next = std::ranges::copy(input->shape, next).out;
                }
            }
        }
    }

    /// False where the ranks are larger than any that are worth remembering.
    bool fits() const { return size_ <= numbers_.size(); }
    /// Only if it fits.
    std::span<const std::int64_t> numbers() const { return {numbers_.data(), size_}; }

    /// One product at the end mixes well enough; one per number would take longer than comparing.
    std::size_t hash() const {
        std::uint64_t hash = 0;
        for (const std::int64_t number : numbers()) {
            hash = std::rotl(hash, 7) ^ static_cast<std::uint64_t>(number);
        }
        return static_cast<std::size_t>((hash * 0x9E3779B97F4A7C15U) >> 32);
    }

private:
    static std::int64_t rank_and_type(const Array& input) {
        constexpr std::int64_t more_than_all_types = 256;
        return static_cast<std::int64_t>(input.shape.size()) * more_than_all_types +
               kind_number(input.element_type);
    }
    static std::int64_t kind_number(element::Type type) {
        return static_cast<std::int64_t>(type.kind());
    }

    std::array<std::int64_t, 40> numbers_;
    std::size_t size_ = 0;
};

/// The last valid signature of each of a few kinds, and its outputs.
struct Remembered {
    const KernelCall* call = nullptr;
    std::vector<std::int64_t> numbers;
    std::shared_ptr<const std::vector<TensorType>> outputs;

    bool is(const KernelCall& other, const Signature& signature) const {
        return call == &other && std::ranges::equal(numbers, signature.numbers());
    }
};

/// What a call is given, by role; arrays of roles that the op has not are absent.
template <typename Op>
class Arrays {
public:
    Arrays(std::span<const OptionalArray> inputs, std::span<const OptionalArray> outputs)
        : inputs_(inputs), outputs_(outputs) {}

    kernel::Problem problem(const op::BatchNormAttributes& attributes) const {
        using op::Role;
        const Array& data = *input(Role::input);
        const auto rank = static_cast<std::int64_t>(data.shape.size());
        const std::array affine{&input(Role::gamma), &input(Role::beta), &output(Role::gamma_delta),
                                &output(Role::beta_delta)};
        const std::array statistics{&input(Role::mean), &input(Role::variance), &output(Role::mean),
                                    &output(Role::variance)};
        return {.shape = data.shape,
                .channel_axis = axis_from_front(attributes.channel_axis, rank),
                .data_type = kernel_type(data.element_type),
                .affine_type = shared_type(affine, data),
                .statistics_type = shared_type(statistics, data),
                .epsilon = attributes.epsilon};
    }

    /// The statistics that are given with the call, or else those among the inputs.
    kernel::ConstBatchStatistics statistics(const GivenReduction& given,
                                            const kernel::Problem& problem) const {
        return has_input(op::Role::mean) ? kernel::ConstBatchStatistics{vector(op::Role::mean),
                                                                        vector(op::Role::variance),
                                                                        problem.statistics_type}
                                         : given.statistics;
    }
    /// The sums that are given with the call, or else those among the inputs.
    kernel::ConstBackpropSums sums(const GivenReduction& given, const kernel::Problem& problem,
                                   std::optional<std::int64_t> count) const {
        if (!has_input(op::Role::sum_of_deltas)) {
            return given.sums;
        }
        const std::int64_t own_count = kernel::counted_of(
            kernel::extents_of(problem.shape, problem.channel_axis).elements_per_channel(),
            given.positions);
        return {vector(op::Role::sum_of_deltas), vector(op::Role::sum_of_products),
                static_cast<double>(count.value_or(own_count))};
    }

    kernel::ConstTensor tensor(op::Role role) const { return const_tensor(input(role)); }
    kernel::ConstChannelVector vector(op::Role role) const {
        return const_channel_vector(input(role));
    }
    kernel::ConstReluMask mask() const {
        return {relu_mask("mask", input(op::Role::mask)).address};
    }
    kernel::Tensor result(op::Role role = op::Role::result) const {
        return runtime::tensor(output(role));
    }
    kernel::ChannelVector vector_result(op::Role role) const {
        return channel_vector(output(role));
    }
    kernel::ReluMask mask_result() const {
        return relu_mask("out[3] (mask)", output(op::Role::mask));
    }

private:
    /// The type that these vectors share; the data's if none of them is there.
    static kernel::ElementType shared_type(std::span<const OptionalArray* const> vectors,
                                           const Array& data) {
        const auto found = std::ranges::find_if(
            vectors, [](const OptionalArray* vector) { return vector->has_value(); });
        return kernel_type(found == vectors.end() ? data.element_type : (**found)->element_type);
    }
    static const OptionalArray& find(std::span<const OptionalArray> arrays,
                                     std::span<const op::Port> ports, op::Role role) {
        static constinit const OptionalArray absent = std::nullopt;
        const std::size_t index = op::index_of(ports, role);
        return index < arrays.size() ? arrays[index] : absent;
    }
    static constexpr bool has_input(op::Role role) { return op::has(Op::signature.inputs, role); }
    const OptionalArray& input(op::Role role) const {
        return find(inputs_, Op::signature.inputs, role);
    }
    const OptionalArray& output(op::Role role) const {
        return find(outputs_, Op::signature.outputs, role);
    }

    std::span<const OptionalArray> inputs_, outputs_;
};

/// Whether statistics that are among the inputs are those of the batch.
template <typename Op>
constexpr bool differentiates_statistics() {
    if constexpr (requires { Op::statistics; }) {
        return Op::statistics == op::Statistics::of_batch;
    } else {
        return false;
    }
}

constexpr kernel::Statistics kernel_statistics(op::Statistics statistics) {
    return statistics == op::Statistics::of_batch ? kernel::Statistics::of_batch
                                                  : kernel::Statistics::given;
}

template <typename Op>
inline constexpr bool applies_relu = requires(const Op& node) { node.upper_bound(); };

double upper_bound_of(const op::BatchNormAttributes& attributes) {
    return attributes.upper_bound.value_or(kernel::no_upper_bound);
}

/// With a variance that is absent, and so 0, the gradient of gamma is the sum of products.
kernel::Problem problem_of_sums(kernel::Problem problem) {
    problem.affine_type = kernel::ElementType::f64;
    problem.epsilon = 1.0;
    return problem;
}

/// The op's kernel, on arrays: a gradient tells a backward pass, statistics among the inputs that
/// are not the batch's tell inference.
template <typename Op>
void run(std::span<const OptionalArray> inputs, std::span<const OptionalArray> outputs,
         const op::BatchNormAttributes& attributes, const GivenReduction& given,
         std::int64_t num_threads, const kernel::Implementation& implementation) {
    using op::Role;
    const Arrays<Op> arrays(inputs, outputs);
    const kernel::Problem problem = arrays.problem(attributes);
    if constexpr (op::has(Op::signature.outputs, Role::residual_delta)) {
        // Before the other part, which may write over the gradient that arrives.
        if (const kernel::Tensor delta = arrays.result(Role::residual_delta);
            delta.address != nullptr) {
            kernel::run(kernel::ReluMaskSelectArguments{.shape = problem.shape,
                                                        .channel_axis = problem.channel_axis,
                                                        .type = problem.data_type,
                                                        .delta = arrays.tensor(Role::delta),
                                                        .mask = arrays.mask(),
                                                        .result = delta},
                        num_threads, implementation);
        }
        if (std::ranges::none_of(outputs.first(3),
                                 [](const OptionalArray& output) { return output.has_value(); })) {
            return;
        }
    }
    if constexpr (op::has(Op::signature.outputs, Role::sum_of_products)) {
        kernel::run(
            kernel::BatchNormBackpropArguments{
                .problem = problem_of_sums(problem),
                .statistics = kernel::Statistics::of_batch,
                .input = arrays.tensor(Role::input),
                .gamma = {},
                .mean = arrays.vector(Role::mean),
                .variance = {},
                .normalized_delta = arrays.tensor(Role::delta),
                .input_delta = {},
                .gamma_delta = arrays.vector_result(Role::sum_of_products),
                .beta_delta = arrays.vector_result(Role::sum_of_deltas),
                .positions = given.positions},
            num_threads, implementation);
    } else if constexpr (op::has(Op::signature.inputs, Role::delta)) {
        kernel::run(
            kernel::BatchNormBackpropArguments{
                .problem = problem,
                .statistics = kernel_statistics(Op::statistics),
                .input = arrays.tensor(Role::input),
                .gamma = arrays.vector(Role::gamma),
                .mean = arrays.vector(Role::mean),
                .variance = arrays.vector(Role::variance),
                .normalized_delta = arrays.tensor(Role::delta),
                .input_delta = arrays.result(),
                .gamma_delta = arrays.vector_result(Role::gamma_delta),
                .beta_delta = arrays.vector_result(Role::beta_delta),
                .mask = arrays.mask(),
                .sums = arrays.sums(given, problem, attributes.count),
                .positions = given.positions},
            num_threads, implementation);
    } else if constexpr (op::has(Op::signature.inputs, Role::mean) &&
                         !differentiates_statistics<Op>()) {
        kernel::run(kernel::BatchNormInferenceArguments{.problem = problem,
                                                        .input = arrays.tensor(Role::input),
                                                        .gamma = arrays.vector(Role::gamma),
                                                        .beta = arrays.vector(Role::beta),
                                                        .mean = arrays.vector(Role::mean),
                                                        .variance = arrays.vector(Role::variance),
                                                        .normalized = arrays.result(),
                                                        .applies_relu = applies_relu<Op>,
                                                        .upper_bound = upper_bound_of(attributes),
                                                        .residual = arrays.tensor(Role::residual)},
                    num_threads, implementation);
    } else {
        kernel::run(
            kernel::BatchNormTrainingArguments{.problem = problem,
                                               .input = arrays.tensor(Role::input),
                                               .gamma = arrays.vector(Role::gamma),
                                               .beta = arrays.vector(Role::beta),
                                               .normalized = arrays.result(),
                                               .mean = arrays.vector_result(Role::mean),
                                               .variance = arrays.vector_result(Role::variance),
                                               .applies_relu = applies_relu<Op>,
                                               .mask = arrays.mask_result(),
                                               .upper_bound = upper_bound_of(attributes),
                                               .residual = arrays.tensor(Role::residual),
                                               .statistics = arrays.statistics(given, problem),
                                               .positions = given.positions},
            num_threads, implementation);
    }
}

template <typename Op>
std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                              const op::BatchNormAttributes& attributes) {
    return op::infer_batch_norm(Op::class_name, Op::signature, inputs, attributes);
}

/// Statistics of 16-bit data are f32 where nothing else is asked for.
void choose_statistics_type(op::BatchNormAttributes& attributes, const KernelCall& call,
                            const Array& input) {
    if (call.has_statistics() && input.element_type.is_sixteen_bit_real() &&
        !attributes.statistics_type) {
        attributes.statistics_type = element::f32;
    }
}

template <typename Op>
constexpr std::string_view function_name() {
    if constexpr (requires { Op::function_name; }) {
        return Op::function_name;
    } else {
        return {};
    }
}

template <typename... Ops>
struct KernelCalls {
    static_assert(((Ops::signature.inputs.size() <= most_inputs) && ...));
    static_assert(((Ops::signature.outputs.size() <= most_outputs) && ...));
    static constexpr std::array calls{
        KernelCall{.name = function_name<Ops>(),
                   .op_class = Ops::class_name,
                   .inputs = Ops::signature.inputs,
                   .outputs = Ops::signature.outputs,
                   .documentation = Ops::documentation,
                   .differentiates_statistics = differentiates_statistics<Ops>(),
                   .applies_relu = applies_relu<Ops>,
                   .infer = infer<Ops>,
                   .run = run<Ops>}...};
};

}  // namespace

std::span<const KernelCall> kernel_calls() {
    return op::BatchNormFamily<KernelCalls>::calls;
}

std::shared_ptr<const std::vector<TensorType>> validate(const KernelCall& call,
                                                        std::span<const OptionalArray> inputs,
                                                        op::BatchNormAttributes attributes,
                                                        bool is_reduction_given) {
    choose_statistics_type(attributes, call, *inputs[0]);
    thread_local std::array<Remembered, 32> memory;
    const Signature signature(inputs, attributes);
    Remembered& entry = memory[signature.fits() ? signature.hash() % memory.size() : 0];
    const bool is_known = signature.fits() && entry.is(call, signature);
    std::shared_ptr<const std::vector<TensorType>> outputs =
        is_known ? entry.outputs
                 : std::make_shared<const std::vector<TensorType>>(
                       validate_anew(call, inputs, attributes));
    if (call.needs_elements() && !is_reduction_given) {
        check_elements(*inputs[0]);
    }
    if (signature.fits() && !is_known) {
        // Known by no call until all of it is set: to allocate may fail.
        entry.call = nullptr;
        entry.numbers.assign(signature.numbers().begin(), signature.numbers().end());
        entry.outputs = outputs;
        entry.call = &call;
    }
    return outputs;
}

}  // namespace normgraph::runtime
