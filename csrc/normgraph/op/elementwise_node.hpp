#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "normgraph/op/op_node.hpp"
#include "normgraph/op/primitive_constraints.hpp"

namespace normgraph::op {

/// What the element-wise ops have in common: inputs of one real element type and one shape, one
/// output of both, no attributes.
///
/// Constraints: P1, P2, P3 (see constraints.hpp).
template <typename Derived>
class ElementwiseNode : public OpNode<Derived> {
public:
    static constexpr std::array<std::string_view, 3> constraint_labels{"P1", "P2", "P3"};
    static constexpr std::string_view remark =
        "All inputs have one real element type and one shape, without broadcasting, and the "
        "output\n"
        "has them too. f16 and bf16 are computed in f32 and rounded once.";

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs) {
        return {infer_elementwise(Derived::class_name, input_names_of<Derived>, inputs)};
    }

protected:
    ElementwiseNode(std::vector<Output> inputs, std::string friendly_name)
        : OpNode<Derived>{std::move(inputs), std::move(friendly_name)} {}
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
