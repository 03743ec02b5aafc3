#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "normgraph/ir/node.hpp"
#include "normgraph/op/primitive_constraints.hpp"
#include "normgraph/op/tensor_type.hpp"

namespace normgraph::op {

/// What the element-wise ops have in common: inputs of one real element type and one shape, one
/// output of both, no attributes. Derived has class_name, names_of_inputs and names_of_outputs.
///
/// Constraints: P1, P2, P3 (see primitive_constraints.hpp).
template <typename Derived>
class ElementwiseNode : public Node {
public:
    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs) {
        return {infer_elementwise(Derived::class_name, Derived::names_of_inputs, inputs)};
    }

    std::string_view type_name() const noexcept final { return Derived::class_name; }
    std::span<const std::string_view> input_names() const noexcept final {
        return Derived::names_of_inputs;
    }
    std::span<const std::string_view> output_names() const noexcept final {
        return Derived::names_of_outputs;
    }
    void visit_attributes(AttributeVisitor& /*visitor*/) const final {}

protected:
    ElementwiseNode(std::vector<Output> inputs, std::string friendly_name)
        : Node{std::move(inputs), std::move(friendly_name)} {}

private:
    std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const final {
        return infer(inputs);
    }
};

/// Of one value.
template <typename Derived>
class UnaryNode : public ElementwiseNode<Derived> {
public:
    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    explicit UnaryNode(const Output& value, std::string friendly_name = {})
        : ElementwiseNode<Derived>{{value}, std::move(friendly_name)} {
        this->validate_and_infer_types();
    }

private:
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const final {
        return std::make_shared<Derived>(inputs[0], friendly_name);
    }
};

/// Of two values.
template <typename Derived>
class BinaryNode : public ElementwiseNode<Derived> {
public:
    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    BinaryNode(const Output& first, const Output& second, std::string friendly_name = {})
        : ElementwiseNode<Derived>{{first, second}, std::move(friendly_name)} {
        this->validate_and_infer_types();
    }

private:
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const final {
        return std::make_shared<Derived>(inputs[0], inputs[1], friendly_name);
    }
};

}  // namespace normgraph::op
