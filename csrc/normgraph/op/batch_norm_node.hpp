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
    "(C), both of input's element type or of the next wider one: f32 where input is f16 or bf16, "
    "f64 where it is f32";
inline constexpr std::string_view statistics_of_forward_op =
    "(C), both of input's element type or of the next wider one: the statistics that the forward "
    "op normalized with, used as given";
inline constexpr std::string_view statistics_of_batch = "(C), of statistics_type";

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

}  // namespace ports

/// The base class of the family's ops, with their attributes epsilon and channel_axis.
class BatchNormNode : public Node {
public:
    static constexpr std::tuple attributes{
        Attribute<double>{"epsilon", "finite number >= 0", default_epsilon},
        Attribute<std::int64_t>{"channel_axis", channel_axis_sentence, default_channel_axis}};

    double epsilon() const noexcept { return epsilon_; }
    /// Throws NodeValidationFailure (C1) and keeps the old value unless epsilon is finite and >= 0.
    void set_epsilon(double epsilon);

    /// As it was given: a negative one counts from the last axis, -1 being the last.
    std::int64_t channel_axis() const noexcept { return channel_axis_; }

    virtual SignatureView ports() const noexcept = 0;
    virtual BatchNormAttributes batch_norm_attributes() const noexcept = 0;
    /// The source of the first input with this role, which the op has.
    const Output& source(Role role) const { return input_values()[index_of(ports().inputs, role)]; }

protected:
    BatchNormNode(std::vector<Output> inputs, double epsilon, std::int64_t channel_axis,
                  std::string friendly_name);

    std::tuple<double, std::int64_t> attribute_values() const { return {epsilon_, channel_axis_}; }

private:
    double epsilon_;
    std::int64_t channel_axis_;
};

/// The base class of the ops that put out the statistics of the batch: the type of these.
class StatisticsNode : public BatchNormNode {
public:
    static constexpr std::tuple attributes = std::tuple_cat(
        BatchNormNode::attributes,
        std::tuple{Attribute<std::optional<element::Type>>{
            "statistics_type",
            "element type of mean and variance: input's, or the next wider one, f32 where input is "
            "f16 or bf16, f64 where it is f32; None means the type of gamma and beta"}});

    /// nullopt stands for the type of gamma and beta.
    std::optional<element::Type> statistics_type() const noexcept { return statistics_type_; }

protected:
    StatisticsNode(std::vector<Output> inputs, double epsilon, std::int64_t channel_axis,
                   std::optional<element::Type> statistics_type, std::string friendly_name)
        : BatchNormNode{std::move(inputs), epsilon, channel_axis, std::move(friendly_name)},
          statistics_type_{statistics_type} {}

    auto attribute_values() const {
        return std::tuple_cat(BatchNormNode::attribute_values(), std::tuple{statistics_type_});
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

private:
    std::optional<double> upper_bound_;
};

/// Normalizes with the statistics of the batch, which it puts out, and applies ReLU.
using ReluNode = ActivatingNode<StatisticsNode>;
/// Normalizes with given statistics, and applies ReLU.
using InferenceReluNode = ActivatingNode<BatchNormNode>;

/// The type of each constructor argument that is an input, whatever its index.
template <std::size_t>
using InputArgument = const Output&;

template <typename Derived, typename Base, typename Inputs>
class BatchNormOpWith;

/// An op of the family. Besides what OpNode asks for, Derived has
///
///     function_name   what the op is called as a function on arrays
///     documentation   a summary in one line, an empty line, and the formula, as Python shows them
///     decompose and make_adjoints
template <typename Derived, typename Base, std::size_t... index>
class BatchNormOpWith<Derived, Base, std::index_sequence<index...>> : public OpNode<Derived, Base> {
    static constexpr bool has_statistics_type = std::derived_from<Base, StatisticsNode>;
    static constexpr bool has_upper_bound = requires(const Base& node) { node.upper_bound(); };

public:
    /// Input and gradient are (., C, ...) with C at channel_axis, channel vectors are (C), a mask
    /// is what BatchNormTrainingRelu puts out. Throws NodeValidationFailure. An empty friendly name
    /// stands for a generated one.
    explicit BatchNormOpWith(InputArgument<index>... inputs, double epsilon,
                             std::int64_t channel_axis = default_channel_axis,
                             std::string friendly_name = {})
        requires(!has_statistics_type && !has_upper_bound)
        : OpNode<Derived, Base>{{inputs...}, epsilon, channel_axis, std::move(friendly_name)} {
        this->validate_and_infer_types();
    }
    explicit BatchNormOpWith(InputArgument<index>... inputs, double epsilon,
                             std::int64_t channel_axis = default_channel_axis,
                             std::optional<double> upper_bound = std::nullopt,
                             std::string friendly_name = {})
        requires(!has_statistics_type && has_upper_bound)
        : OpNode<Derived, Base>{
              {inputs...}, epsilon, channel_axis, upper_bound, std::move(friendly_name)} {
        this->validate_and_infer_types();
    }
    explicit BatchNormOpWith(InputArgument<index>... inputs, double epsilon,
                             std::int64_t channel_axis = default_channel_axis,
                             std::optional<element::Type> statistics_type = std::nullopt,
                             std::string friendly_name = {})
        requires(has_statistics_type && !has_upper_bound)
        : OpNode<Derived, Base>{
              {inputs...}, epsilon, channel_axis, statistics_type, std::move(friendly_name)} {
        this->validate_and_infer_types();
    }
    explicit BatchNormOpWith(InputArgument<index>... inputs, double epsilon,
                             std::int64_t channel_axis = default_channel_axis,
                             std::optional<element::Type> statistics_type = std::nullopt,
                             std::optional<double> upper_bound = std::nullopt,
                             std::string friendly_name = {})
        requires(has_statistics_type && has_upper_bound)
        : OpNode<Derived, Base>{{inputs...},     epsilon,     channel_axis,
                                statistics_type, upper_bound, std::move(friendly_name)} {
        this->validate_and_infer_types();
    }

    /// The types of the outputs for inputs of these types, in the order of the signature. `rest`:
    /// the attributes after the first two. Throws NodeValidationFailure, std::invalid_argument for
    /// a wrong number of inputs.
    template <typename... Rest>
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs, double epsilon,
                                         std::int64_t channel_axis, const Rest&... rest) {
        return infer_batch_norm(Derived::class_name, Derived::signature, inputs,
                                attributes_of(epsilon, channel_axis, rest...));
    }

    SignatureView ports() const noexcept final { return Derived::signature; }
    BatchNormAttributes batch_norm_attributes() const noexcept final {
        return std::apply([](const auto&... values) { return attributes_of(values...); },
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
                                                 this->friendly_name());
            },
            values);
    }

private:
    static BatchNormAttributes attributes_of(
        double epsilon, std::int64_t channel_axis,
        std::optional<element::Type> statistics_type = std::nullopt,
        std::optional<double> upper_bound = std::nullopt) noexcept
        requires(has_statistics_type || !has_upper_bound)
    {
        return {epsilon, channel_axis, statistics_type, upper_bound};
    }
    static BatchNormAttributes attributes_of(
        double epsilon, std::int64_t channel_axis,
        std::optional<double> upper_bound = std::nullopt) noexcept
        requires(!has_statistics_type && has_upper_bound)
    {
        return {epsilon, channel_axis, std::nullopt, upper_bound};
    }
};

template <typename Derived, std::size_t input_count, typename Base = BatchNormNode>
using BatchNormOp = BatchNormOpWith<Derived, Base, std::make_index_sequence<input_count>>;

/// What mean and variance are to a backward pass: computed from the batch, so that gradients flow
/// through them, or given.
enum class Statistics : std::uint8_t { of_batch, given };

}  // namespace normgraph::op
