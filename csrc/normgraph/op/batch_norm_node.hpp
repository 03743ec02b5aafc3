#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "normgraph/op/batch_norm_constraints.hpp"
#include "normgraph/op/op_node.hpp"
#include "normgraph/op/upper_bound.hpp"

namespace normgraph::op {

inline constexpr double default_epsilon = 1e-5;
inline constexpr std::int64_t default_channel_axis = 1;
inline constexpr std::string_view channel_axis_sentence =
    "which axis of input has length C; a negative one counts from the last";

/// The inputs and outputs that several ops of the family have.
namespace ports {

inline constexpr std::string_view like_input = "shape and element type of input";
inline constexpr std::string_view vector_like_input =
    "(C), of input's element type, or f32 where input is f16 or bf16";
inline constexpr std::string_view vector_like_gamma = "(C), the element type of gamma and beta";
inline constexpr std::string_view given_statistics =
    "(C), both of input's element type or of any wider one";
inline constexpr std::string_view statistics_of_forward_op =
    "(C), both of input's element type or of any wider one: the statistics that the forward op "
    "normalized with, used as given";
inline constexpr std::string_view statistics_of_whole_batch =
    "(C), both of input's element type or of any wider one: BatchNormStatistics's outputs, or what "
    "those of all parts of the batch come to";
inline constexpr std::string_view statistics_of_batch = "(C), of statistics_type";
inline constexpr std::string_view unrounded = "(C), of f64, not rounded";
inline constexpr std::string_view sum_of_whole_batch =
    "(C), of f64: BatchNormBackpropSums's outputs, those of all parts of the batch added";

inline constexpr Port input{"input", Role::input, "(., C, ...), of f16, bf16, f32 or f64"};
inline constexpr Port gamma{"gamma", Role::gamma, vector_like_input};
inline constexpr Port beta{"beta", Role::beta, vector_like_input};
inline constexpr Port given_mean{"mean", Role::mean, given_statistics};
inline constexpr Port given_variance{"variance", Role::variance, given_statistics};
inline constexpr Port batch_mean{"mean", Role::mean, statistics_of_batch};
inline constexpr Port batch_variance{"variance", Role::variance, statistics_of_batch};

inline constexpr Port activated{"activated", Role::result, like_input};
inline constexpr Port residual{"residual", Role::residual,
                               "shape and element type of input: added to what is normalized"};
inline constexpr Port made_mask{"mask", Role::mask, "u8, packed as said above"};

inline constexpr Port counted_where{
    "where", Role::where,
    "boolean, true where a position counts; without it all do. (., 1, ...): input's shape with 1 "
    "at channel_axis, and 1 in the place of any other length that is to be broadcast"};

inline constexpr Port unread_beta{"beta", Role::beta,
                                  "(C), like gamma; checked, and not read: the gradients do not "
                                  "depend on it"};
inline constexpr Port forward_mean{"mean", Role::mean, statistics_of_forward_op};
inline constexpr Port forward_variance{"variance", Role::variance, statistics_of_forward_op};
inline constexpr Port normalized_delta{
    "normalized_delta", Role::delta, "shape and element type of input: the gradient of normalized"};
inline constexpr Port activated_delta{"activated_delta", Role::delta,
                                      "shape and element type of input: the gradient of activated"};
inline constexpr Port input_delta{"input_delta", Role::result, like_input};
inline constexpr Port gamma_delta{"gamma_delta", Role::gamma_delta, vector_like_gamma};
inline constexpr Port beta_delta{"beta_delta", Role::beta_delta, vector_like_gamma};

inline constexpr Port given_sum_of_deltas{"beta_delta", Role::sum_of_deltas, sum_of_whole_batch};
inline constexpr Port given_sum_of_products{"gmul_delta", Role::sum_of_products,
                                            sum_of_whole_batch};

}  // namespace ports

/// The base class of the family's ops, with their attribute channel_axis.
class BatchNormNode : public Node {
public:
    static constexpr std::tuple attributes{
        Attribute<std::int64_t>{"channel_axis", channel_axis_sentence, default_channel_axis}};

    /// As it was given: a negative one counts from the last axis, -1 being the last.
    std::int64_t channel_axis() const noexcept { return channel_axis_; }

    virtual SignatureView ports() const noexcept = 0;
    virtual BatchNormAttributes batch_norm_attributes() const noexcept = 0;
    /// The source of the first input with this role, which the op has.
    const Output& source(Role role) const { return input_values()[index_of(ports().inputs, role)]; }
    /// What input `index` is to the op.
    Role input_role(std::size_t index) const {
        const SignatureView signature = ports();
        return index < signature.inputs.size() ? signature.inputs[index].role
                                               : signature.optional_input->role;
    }
    /// The source of the input that tells which positions count; nullopt: all do.
    std::optional<Output> where() const {
        const std::size_t required = ports().inputs.size();
        return input_values().size() > required ? std::optional(input_values()[required])
                                                : std::nullopt;
    }

protected:
    BatchNormNode(std::vector<Output> inputs, std::int64_t channel_axis, std::string friendly_name)
        : Node{std::move(inputs), std::move(friendly_name)}, channel_axis_{channel_axis} {}

    std::tuple<std::int64_t> attribute_values() const { return {channel_axis_}; }
    static BatchNormAttributes batch_norm_attributes_of(std::int64_t channel_axis) {
        return {.epsilon = default_epsilon, .channel_axis = channel_axis};
    }

private:
    std::int64_t channel_axis_;
};

/// The base class of the ops that divide by a standard deviation: what is added to the variance.
class EpsilonNode : public BatchNormNode {
public:
    static constexpr std::tuple attributes = std::tuple_cat(
        std::tuple{Attribute<double>{"epsilon", "finite number >= 0", default_epsilon}},
        BatchNormNode::attributes);

    double epsilon() const noexcept { return epsilon_; }
    /// Throws NodeValidationFailure (C1) and keeps the old value unless epsilon is finite and >= 0.
    void set_epsilon(double epsilon);

protected:
    EpsilonNode(std::vector<Output> inputs, double epsilon, std::int64_t channel_axis,
                std::string friendly_name)
        : BatchNormNode{std::move(inputs), channel_axis, std::move(friendly_name)},
          epsilon_{epsilon} {}

    std::tuple<double, std::int64_t> attribute_values() const { return {epsilon_, channel_axis()}; }
    static BatchNormAttributes batch_norm_attributes_of(
        double epsilon, std::int64_t channel_axis,
        std::optional<element::Type> statistics_type = std::nullopt) {
        return {
            .epsilon = epsilon, .channel_axis = channel_axis, .statistics_type = statistics_type};
    }

private:
    double epsilon_;
};

/// The base class of BatchNormTrainingBackpropApply: of how many elements the sums are.
class CountNode : public EpsilonNode {
public:
    static constexpr std::tuple attributes = std::tuple_cat(
        EpsilonNode::attributes,
        std::tuple{Attribute<std::optional<std::int64_t>>{
            "count",
            "how many elements per channel count in the whole batch, of which input is a part; "
            "None means input's own"}});

    /// nullopt stands for the number that the input has.
    std::optional<std::int64_t> count() const noexcept { return count_; }

protected:
    CountNode(std::vector<Output> inputs, double epsilon, std::int64_t channel_axis,
              std::optional<std::int64_t> count, std::string friendly_name)
        : EpsilonNode{std::move(inputs), epsilon, channel_axis, std::move(friendly_name)},
          count_{count} {}

    auto attribute_values() const {
        return std::tuple_cat(EpsilonNode::attribute_values(), std::tuple{count_});
    }
    static BatchNormAttributes batch_norm_attributes_of(
        double epsilon, std::int64_t channel_axis,
        std::optional<std::int64_t> count = std::nullopt) {
        return {.epsilon = epsilon, .channel_axis = channel_axis, .count = count};
    }

private:
    std::optional<std::int64_t> count_;
};

/// The base class of the ops that put out the statistics of the batch: the type of these.
class StatisticsNode : public EpsilonNode {
public:
    static constexpr std::tuple attributes = std::tuple_cat(
        EpsilonNode::attributes,
        std::tuple{Attribute<std::optional<element::Type>>{
            "statistics_type",
            "element type of mean and variance: input's, or any wider one; None means the type of "
            "gamma and beta"}});

    /// nullopt stands for the type of gamma and beta.
    std::optional<element::Type> statistics_type() const noexcept { return statistics_type_; }

protected:
    StatisticsNode(std::vector<Output> inputs, double epsilon, std::int64_t channel_axis,
                   std::optional<element::Type> statistics_type, std::string friendly_name)
        : EpsilonNode{std::move(inputs), epsilon, channel_axis, std::move(friendly_name)},
          statistics_type_{statistics_type} {}

    auto attribute_values() const {
        return std::tuple_cat(EpsilonNode::attribute_values(), std::tuple{statistics_type_});
    }

private:
    std::optional<element::Type> statistics_type_;
};

/// The base class of the ops that apply ReLU to what is normalized: its upper bound.
template <typename Base>
class ActivatingNode : public Base {
public:
    static constexpr std::tuple attributes =
        std::tuple_cat(Base::attributes, std::tuple{upper_bound_attribute});

    /// nullopt stands for none.
    std::optional<double> upper_bound() const noexcept { return upper_bound_; }

protected:
    ActivatingNode(std::vector<Output> inputs, double epsilon, std::int64_t channel_axis,
                   std::optional<element::Type> statistics_type, std::optional<double> upper_bound,
                   std::string friendly_name)
        requires std::derived_from<Base, StatisticsNode>
        : Base{std::move(inputs), epsilon, channel_axis, statistics_type, std::move(friendly_name)},
          upper_bound_{upper_bound} {}
    ActivatingNode(std::vector<Output> inputs, double epsilon, std::int64_t channel_axis,
                   std::optional<double> upper_bound, std::string friendly_name)
        requires(!std::derived_from<Base, StatisticsNode>)
        : Base{std::move(inputs), epsilon, channel_axis, std::move(friendly_name)},
          upper_bound_{upper_bound} {}

    auto attribute_values() const {
        return std::tuple_cat(Base::attribute_values(), std::tuple{upper_bound_});
    }
    static BatchNormAttributes batch_norm_attributes_of(
        double epsilon, std::int64_t channel_axis,
        std::optional<element::Type> statistics_type = std::nullopt,
        std::optional<double> upper_bound = std::nullopt)
        requires std::derived_from<Base, StatisticsNode>
    {
        return {epsilon, channel_axis, statistics_type, upper_bound};
    }
    static BatchNormAttributes batch_norm_attributes_of(
        double epsilon, std::int64_t channel_axis, std::optional<double> upper_bound = std::nullopt)
        requires(!std::derived_from<Base, StatisticsNode>)
    {
        return {.epsilon = epsilon, .channel_axis = channel_axis, .upper_bound = upper_bound};
    }

private:
    std::optional<double> upper_bound_;
};

/// Normalizes with the statistics of the batch, which it puts out, and applies ReLU.
using ReluNode = ActivatingNode<StatisticsNode>;
/// Normalizes with given statistics, and applies ReLU.
using InferenceReluNode = ActivatingNode<EpsilonNode>;

/// The type of each constructor argument that is an input, whatever its index.
template <std::size_t>
using InputArgument = const Output&;

template <typename Derived, typename Base, typename Inputs>
class BatchNormOpWith;

/// An op of the family. Besides what OpNode asks for, Derived has
///
///     function_name   what the op is called as a function on arrays; not with the ops of a stage,
///                     which are none
///     documentation   a summary in one line, an empty line, and the formula, as Python shows them
///     decompose and make_adjoints
template <typename Derived, typename Base, std::size_t... index>
class BatchNormOpWith<Derived, Base, std::index_sequence<index...>> : public OpNode<Derived, Base> {
    static constexpr bool has_statistics_type = std::derived_from<Base, StatisticsNode>;
    static constexpr bool has_upper_bound = requires(const Base& node) { node.upper_bound(); };
    static constexpr bool has_count = std::derived_from<Base, CountNode>;
    static constexpr bool has_epsilon = std::derived_from<Base, EpsilonNode>;

public:
    /// Input and gradient are (., C, ...) with C at channel_axis, channel vectors are (C), a mask
    /// is what BatchNormTrainingRelu puts out, and `where`, for an op that may have it, tells which
    /// positions count. Throws NodeValidationFailure, std::invalid_argument for a `where` that the
    /// op has not. An empty friendly name stands for a generated one.
    explicit BatchNormOpWith(InputArgument<index>... inputs,
                             std::int64_t channel_axis = default_channel_axis,
                             std::string friendly_name = {},
                             const std::optional<Output>& where = std::nullopt)
        requires(!has_epsilon)
        : OpNode<Derived, Base>{with_where({inputs...}, where), channel_axis,
                                std::move(friendly_name)} {
        this->validate_and_infer_types();
    }
    explicit BatchNormOpWith(InputArgument<index>... inputs, double epsilon,
                             std::int64_t channel_axis = default_channel_axis,
                             std::optional<std::int64_t> count = std::nullopt,
                             std::string friendly_name = {},
                             const std::optional<Output>& where = std::nullopt)
        requires has_count
        : OpNode<Derived, Base>{with_where({inputs...}, where), epsilon, channel_axis, count,
                                std::move(friendly_name)} {
        this->validate_and_infer_types();
    }
    explicit BatchNormOpWith(InputArgument<index>... inputs, double epsilon,
                             std::int64_t channel_axis = default_channel_axis,
                             std::string friendly_name = {},
                             const std::optional<Output>& where = std::nullopt)
        requires(has_epsilon && !has_statistics_type && !has_upper_bound && !has_count)
        : OpNode<Derived, Base>{with_where({inputs...}, where), epsilon, channel_axis,
                                std::move(friendly_name)} {
        this->validate_and_infer_types();
    }
    explicit BatchNormOpWith(InputArgument<index>... inputs, double epsilon,
                             std::int64_t channel_axis = default_channel_axis,
                             std::optional<double> upper_bound = std::nullopt,
                             std::string friendly_name = {},
                             const std::optional<Output>& where = std::nullopt)
        requires(!has_statistics_type && has_upper_bound)
        : OpNode<Derived, Base>{with_where({inputs...}, where), epsilon, channel_axis, upper_bound,
                                std::move(friendly_name)} {
        this->validate_and_infer_types();
    }
    explicit BatchNormOpWith(InputArgument<index>... inputs, double epsilon,
                             std::int64_t channel_axis = default_channel_axis,
                             std::optional<element::Type> statistics_type = std::nullopt,
                             std::string friendly_name = {},
                             const std::optional<Output>& where = std::nullopt)
        requires(has_statistics_type && !has_upper_bound)
        : OpNode<Derived, Base>{with_where({inputs...}, where), epsilon, channel_axis,
                                statistics_type, std::move(friendly_name)} {
        this->validate_and_infer_types();
    }
    explicit BatchNormOpWith(InputArgument<index>... inputs, double epsilon,
                             std::int64_t channel_axis = default_channel_axis,
                             std::optional<element::Type> statistics_type = std::nullopt,
                             std::optional<double> upper_bound = std::nullopt,
                             std::string friendly_name = {},
                             const std::optional<Output>& where = std::nullopt)
        requires(has_statistics_type && has_upper_bound)
        : OpNode<Derived, Base>{
              with_where({inputs...}, where), epsilon, channel_axis, statistics_type, upper_bound,
              std::move(friendly_name)} {
        this->validate_and_infer_types();
    }

    /// The types of the outputs for inputs of these types and these attributes, in the order of the
    /// signature. Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    template <typename... Values>
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                                         const Values&... attributes) {
        return infer_batch_norm(Derived::class_name, Derived::signature, inputs,
                                Base::batch_norm_attributes_of(attributes...));
    }

    SignatureView ports() const noexcept final { return Derived::signature; }
    BatchNormAttributes batch_norm_attributes() const noexcept final {
        return std::apply(
            [](const auto&... values) { return Base::batch_norm_attributes_of(values...); },
            this->attribute_values());
    }

    /// The same op on the same inputs, with mean and variance of this type. Throws what the
    /// constructor throws.
    std::shared_ptr<Node> with_statistics_type(element::Type type) const
        requires has_statistics_type
    {
        auto values = this->attribute_values();
        std::get<std::optional<element::Type>>(values) = type;
        return std::apply(
            [&](const auto&... value) {
                return std::make_shared<Derived>(this->input_values()[index]..., value...,
                                                 this->friendly_name(), this->where());
            },
            values);
    }

private:
    static std::vector<Output> with_where(std::vector<Output> inputs,
                                          const std::optional<Output>& where) {
        if (where) {
            inputs.push_back(*where);
        }
        return inputs;
    }
};

template <typename Derived, std::size_t input_count, typename Base = EpsilonNode>
using BatchNormOp = BatchNormOpWith<Derived, Base, std::make_index_sequence<input_count>>;

/// What mean and variance are to a backward pass: computed from the batch, so that gradients flow
/// through them, or given.
enum class Statistics : std::uint8_t { of_batch, given };

}  // namespace normgraph::op
