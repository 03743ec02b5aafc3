#pragma once

#include <array>
#include <string_view>

#include "normgraph/op/elementwise_node.hpp"

/// The element-wise primitives. f16 and bf16 are computed in f32 and rounded once, to nearest even;
/// f32 and f64 in themselves. Special values follow IEEE.
namespace normgraph::op {

/// left + right
class Add final : public BinaryNode<Add> {
public:
    static constexpr std::string_view class_name = "Add";
    static constexpr std::array<std::string_view, 2> names_of_inputs{"left", "right"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};
    using BinaryNode::BinaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// left − right
class Subtract final : public BinaryNode<Subtract> {
public:
    static constexpr std::string_view class_name = "Subtract";
    static constexpr std::array<std::string_view, 2> names_of_inputs{"left", "right"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};
    using BinaryNode::BinaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// left · right
class Multiply final : public BinaryNode<Multiply> {
public:
    static constexpr std::string_view class_name = "Multiply";
    static constexpr std::array<std::string_view, 2> names_of_inputs{"left", "right"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};
    using BinaryNode::BinaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// left / right
class Divide final : public BinaryNode<Divide> {
public:
    static constexpr std::string_view class_name = "Divide";
    static constexpr std::array<std::string_view, 2> names_of_inputs{"left", "right"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};
    using BinaryNode::BinaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// −value
class Negate final : public UnaryNode<Negate> {
public:
    static constexpr std::string_view class_name = "Negate";
    static constexpr std::array<std::string_view, 1> names_of_inputs{"value"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};
    using UnaryNode::UnaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// √value
class SquareRoot final : public UnaryNode<SquareRoot> {
public:
    static constexpr std::string_view class_name = "SquareRoot";
    static constexpr std::array<std::string_view, 1> names_of_inputs{"value"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};
    using UnaryNode::UnaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// The rectifier: +0 where value <= 0, else value (a NaN stays).
class Relu final : public UnaryNode<Relu> {
public:
    static constexpr std::string_view class_name = "Relu";
    static constexpr std::array<std::string_view, 1> names_of_inputs{"value"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};
    using UnaryNode::UnaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// The gradient of a rectifier: +0 where value <= 0, whatever delta holds there, else delta.
/// value is the rectifier's input or its output. It only selects: nothing is differentiated by it.
class ReluBackprop final : public BinaryNode<ReluBackprop> {
public:
    static constexpr std::string_view class_name = "ReluBackprop";
    static constexpr std::array<std::string_view, 2> names_of_inputs{"value", "delta"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};
    using BinaryNode::BinaryNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
