#pragma once

#include <array>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "normgraph/op/op_node.hpp"

namespace normgraph::op {

/// The base class of Convert: the type that is converted to.
class ConvertAttributes : public Node {
public:
    static constexpr std::tuple attributes{
        Attribute<element::Type>{"element_type", "the type to convert to: f16, bf16, f32 or f64"}};

    element::Type element_type() const noexcept { return element_type_; }

protected:
    ConvertAttributes(std::vector<Output> inputs, element::Type element_type,
                      std::string friendly_name)
        : Node{std::move(inputs), std::move(friendly_name)}, element_type_{element_type} {}

    std::tuple<element::Type> attribute_values() const { return {element_type_}; }

private:
    element::Type element_type_;
};

/// Each element as a number of another real type, rounded to nearest even; true is 1. The value may
/// be of any type. Its adjoint converts back, and is refused where the value is not real.
///
/// Constraint: P1, of the new type.
class Convert final : public OpNode<Convert, ConvertAttributes> {
public:
    static constexpr std::string_view class_name = "Convert";
    static constexpr std::string_view documentation =
        "Each element as a number of another real type.\n\n"
        "Rounds to nearest even; true is 1. value may have any element type; where it is not "
        "real,\n"
        "there is no derivative.";
    static constexpr std::array<std::string_view, 1> constraint_labels{"P1"};
    static constexpr Signature<1, 1> signature{{{{"value"}}}, {{{"result"}}}};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    Convert(const Output& value, element::Type element_type, std::string friendly_name = {});

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                                         element::Type element_type);

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
