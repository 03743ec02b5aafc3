#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "normgraph/op/elementwise_node.hpp"

/// The element-wise primitives. f16 and bf16 are computed in f32 and rounded once, to nearest even;
/// f32 and f64 in themselves. Special values follow IEEE.
namespace normgraph::op {

/// left + right
class Add final : public BinaryNode<Add> {
public:
    static constexpr std::string_view class_name = "Add";
    static constexpr std::string_view documentation = "left + right, element by element.";
    using BinaryNode::BinaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// left − right
class Subtract final : public BinaryNode<Subtract> {
public:
    static constexpr std::string_view class_name = "Subtract";
    static constexpr std::string_view documentation = "left - right, element by element.";
    using BinaryNode::BinaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// left · right
class Multiply final : public BinaryNode<Multiply> {
public:
    static constexpr std::string_view class_name = "Multiply";
    static constexpr std::string_view documentation = "left * right, element by element.";
    using BinaryNode::BinaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// left / right
class Divide final : public BinaryNode<Divide> {
public:
    static constexpr std::string_view class_name = "Divide";
    static constexpr std::string_view documentation = "left / right, element by element.";
    using BinaryNode::BinaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// −value
class Negate final : public UnaryNode<Negate> {
public:
    static constexpr std::string_view class_name = "Negate";
    static constexpr std::string_view documentation = "-value, element by element.";
    using UnaryNode::UnaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// √value
class SquareRoot final : public UnaryNode<SquareRoot> {
public:
    static constexpr std::string_view class_name = "SquareRoot";
    static constexpr std::string_view documentation = "The square root of each element.";
    using UnaryNode::UnaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// ReLU: +0 where value <= 0, the upper bound where value has reached it, else value (a NaN stays).
class Relu final : public ElementwiseNode<Relu, BoundedNode> {
public:
    static constexpr std::string_view class_name = "Relu";
    static constexpr std::string_view documentation =
        "ReLU: 0 where value <= 0, upper_bound where value >= upper_bound, else value.\n\n"
        "A NaN stays. With upper_bound=6.0 it is ReLU6.";
    static constexpr Signature<1, 1> signature{{{{"value"}}}, {{{"result"}}}};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    explicit Relu(const Output& value, std::optional<double> upper_bound = std::nullopt,
                  std::string friendly_name = {});

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// The gradient of ReLU: +0 where value <= 0 or has reached the upper bound, whatever delta holds
/// there, else delta. value is ReLU's input or its output. It only selects: nothing is
/// differentiated by it.
class ReluBackprop final : public ElementwiseNode<ReluBackprop, BoundedNode> {
public:
    static constexpr std::string_view class_name = "ReluBackprop";
    static constexpr std::string_view documentation =
        "The gradient of ReLU.\n\n"
        "0 where value <= 0 or value >= upper_bound, whatever delta holds there, else delta. "
        "value\n"
        "is ReLU's input or its output; it only selects: nothing is differentiated by it.";
    static constexpr Signature<2, 1> signature{{{{"value"}, {"delta"}}}, {{{"result"}}}};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    ReluBackprop(const Output& value, const Output& delta,
                 std::optional<double> upper_bound = std::nullopt, std::string friendly_name = {});

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
