#pragma once

#include <array>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "normgraph/op/op_node.hpp"
#include "normgraph/op/primitive_constraints.hpp"
#include "normgraph/op/upper_bound.hpp"

namespace normgraph::op {

/// What the element-wise ops have in common: inputs of one real element type and one shape, one
/// output of both. Base is WithoutAttributes or BoundedNode.
///
/// Constraints: P1, P2, P3 (see constraints.hpp); where there is a bound, P8.
template <typename Derived, typename Base = WithoutAttributes>
class ElementwiseNode : public OpNode<Derived, Base> {
public:
    static constexpr auto constraint_labels = [] {
        if constexpr (std::derived_from<Base, BoundedNode>) {
            return std::array<std::string_view, 4>{"P1", "P2", "P3", "P8"};
        } else {
            return std::array<std::string_view, 3>{"P1", "P2", "P3"};
        }
    }();
    static constexpr std::string_view remark =
        "All inputs have one real element type and one shape, without broadcasting, and the "
        "output\n"
        "has them too. f16 and bf16 are computed in f32 and rounded once.";

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    template <typename... Values>
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                                         const Values&... attributes) {
        return {
            infer_elementwise(Derived::class_name, input_names_of<Derived>, inputs, attributes...)};
    }

protected:
    using OpNode<Derived, Base>::OpNode;
};

/// An element-wise op on one value.
template <typename Derived>
class UnaryNode : public ElementwiseNode<Derived> {
public:
    static constexpr Signature<1, 1> signature{{{{"value"}}}, {{{"result"}}}};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    explicit UnaryNode(const Output& value, std::string friendly_name = {})
        : ElementwiseNode<Derived>{{value}, std::move(friendly_name)} {
        this->validate_and_infer_types();
    }
};

/// An element-wise op on two values.
template <typename Derived>
class BinaryNode : public ElementwiseNode<Derived> {
public:
    static constexpr Signature<2, 1> signature{{{{"left"}, {"right"}}}, {{{"result"}}}};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    BinaryNode(const Output& first, const Output& second, std::string friendly_name = {})
        : ElementwiseNode<Derived>{{first, second}, std::move(friendly_name)} {
        this->validate_and_infer_types();
    }
};

}  // namespace normgraph::op
