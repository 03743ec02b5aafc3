#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

/// An op's signature is data: what it takes, what it puts out, and which attributes it has. Names,
/// inference, cloning, the Python classes with their documentation, and the readers of formats
/// derive from it.
namespace normgraph::op {

/// What an input or an output is to its op.
enum class Role : std::uint8_t {
    tensor,  ///< a tensor of an op that is defined for any shape
    // Tensors of the batch-normalization family, which all have the shape (., C, ...).
    input,           ///< the data that are normalized
    delta,           ///< the gradient that arrives
    result,          ///< what is computed for each element
    residual,        ///< what is added to the normalized data
    residual_delta,  ///< the gradient of that
    // Channel vectors (C).
    gamma,
    beta,
    mean,
    variance,
    gamma_delta,
    beta_delta,
    sum_of_deltas,    ///< of the backward pass, not rounded: that of the gradient
    sum_of_products,  ///< that of the gradient times (input − mean)
    mask,             ///< a packed bit for each element (see relu_mask.hpp)
    where,            ///< a boolean for each position, which tells whether it counts
};

constexpr bool is_data(Role role) {
    return Role::input <= role && role <= Role::residual_delta;
}
constexpr bool is_channel_vector(Role role) {
    return Role::gamma <= role && role <= Role::sum_of_products;
}

/// The sums of a backward pass are f64. mean and variance share one type, and the other channel
/// vectors another.
constexpr bool is_sum(Role role) {
    return role == Role::sum_of_deltas || role == Role::sum_of_products;
}
constexpr bool is_statistic(Role role) {
    return role == Role::mean || role == Role::variance;
}

/// One input or output.
struct Port {
    std::string_view name;
    Role role = Role::tensor;
    /// What documentation says of it: shape, element type, origin. The line begins with the name.
    std::string_view sentence = {};
};

/// gamma and beta may be left out where an op is called on arrays; they are then 1 and 0.
constexpr bool is_optional(const Port& port) {
    return port.role == Role::gamma || port.role == Role::beta;
}

/// A signature of any size, which lives elsewhere.
struct SignatureView {
    std::span<const Port> inputs;
    std::span<const Port> outputs;
    std::optional<Port> optional_input = std::nullopt;
};

template <std::size_t input_count, std::size_t output_count>
struct Signature {
    std::array<Port, input_count> inputs;
    std::array<Port, output_count> outputs;
    /// The input that a node may have behind the others: the number of its inputs tells.
    std::optional<Port> optional_input = std::nullopt;

    // NOLINTNEXTLINE(google-explicit-constructor)
    constexpr operator SignatureView() const { return {inputs, outputs, optional_input}; }
};

/// The optional input, or nothing. `signature` outlives the result.
template <std::size_t input_count, std::size_t output_count>
constexpr std::span<const Port> optional_ports(
    const Signature<input_count, output_count>& signature) {
    const auto& port = signature.optional_input;
    return port ? std::span<const Port>(&*port, 1) : std::span<const Port>();
}

/// The place of the first port with this role; the number of ports if there is none.
constexpr std::size_t index_of(std::span<const Port> ports, Role role) {
    return static_cast<std::size_t>(std::ranges::find(ports, role, &Port::role) - ports.begin());
}
constexpr bool has(std::span<const Port> ports, Role role) {
    return index_of(ports, role) < ports.size();
}

template <std::size_t count>
constexpr std::array<std::string_view, count> names_of(const std::array<Port, count>& ports) {
    std::array<std::string_view, count> names;
    std::ranges::transform(ports, names.begin(), &Port::name);
    return names;
}

template <typename Op>
constexpr auto all_input_names() {
    constexpr auto& signature = Op::signature;
    if constexpr (signature.optional_input.has_value()) {
        std::array<std::string_view, signature.inputs.size() + 1> names;
        std::ranges::transform(signature.inputs, names.begin(), &Port::name);
        names.back() = signature.optional_input->name;
        return names;
    } else {
        return names_of(signature.inputs);
    }
}

/// The optional one, if there is one, is the last.
template <typename Op>
inline constexpr auto input_names_of = all_input_names<Op>();
template <typename Op>
inline constexpr auto output_names_of = names_of(Op::signature.outputs);

/// One attribute of an op, in the order of its constructor's arguments. A number or a flag has a
/// default unless it is required; a list of axes is empty by default; an element type is required.
/// A std::optional is shown among a node's attributes only where it is there.
template <typename Value>
struct Attribute {
    struct Empty {};

    std::string_view name;
    std::string_view sentence;
    std::conditional_t<std::is_arithmetic_v<Value>, Value, Empty> default_value = {};
};

using Axes = std::vector<std::int64_t>;

}  // namespace normgraph::op
