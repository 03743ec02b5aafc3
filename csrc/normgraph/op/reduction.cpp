#include "normgraph/op/reduction.hpp"

#include <optional>
#include <utility>

#include "normgraph/op/expressions.hpp"
#include "normgraph/op/primitive_constraints.hpp"

namespace normgraph::op {

AxesNode::AxesNode(std::vector<Output> inputs, std::vector<std::int64_t> axes,
                   std::string friendly_name)
    : Node{std::move(inputs), std::move(friendly_name)}, axes_{std::move(axes)} {}

template <typename Derived>
ReductionNode<Derived>::ReductionNode(const Output& value, std::vector<std::int64_t> kept_axes,
                                      std::string friendly_name)
    : AxesNode{{value}, std::move(kept_axes), std::move(friendly_name)} {
    validate_and_infer_types();
}

template <typename Derived>
std::vector<TensorType> ReductionNode<Derived>::infer(const std::vector<TensorType>& inputs,
                                                      const std::vector<std::int64_t>& kept_axes) {
    return {infer_reduction(Derived::class_name, names_of_inputs, inputs, kept_axes)};
}

template <typename Derived>
void ReductionNode<Derived>::visit_attributes(AttributeVisitor& visitor) const {
    visitor.on_attribute("kept_axes", axes());
}

template <typename Derived>
std::vector<TensorType> ReductionNode<Derived>::infer_types(
    const std::vector<TensorType>& inputs) const {
    return infer(inputs, axes());
}

template <typename Derived>
std::shared_ptr<Node> ReductionNode<Derived>::make_clone(const std::vector<Output>& inputs,
                                                         const std::string& friendly_name) const {
    return std::make_shared<Derived>(inputs[0], axes(), friendly_name);
}

template <typename Derived>
RepeatingNode<Derived>::RepeatingNode(const Output& value, const Output& like,
                                      std::vector<std::int64_t> axes, std::string friendly_name)
    : AxesNode{{value, like}, std::move(axes), std::move(friendly_name)} {
    validate_and_infer_types();
}

template <typename Derived>
std::vector<TensorType> RepeatingNode<Derived>::infer(const std::vector<TensorType>& inputs,
                                                      const std::vector<std::int64_t>& axes) {
    return {infer_broadcast(Derived::class_name, Derived::names_of_inputs, inputs, axes)};
}

template <typename Derived>
void RepeatingNode<Derived>::visit_attributes(AttributeVisitor& visitor) const {
    visitor.on_attribute("axes", axes());
}

template <typename Derived>
std::vector<TensorType> RepeatingNode<Derived>::infer_types(
    const std::vector<TensorType>& inputs) const {
    return infer(inputs, axes());
}

template <typename Derived>
std::shared_ptr<Node> RepeatingNode<Derived>::make_clone(const std::vector<Output>& inputs,
                                                         const std::string& friendly_name) const {
    return std::make_shared<Derived>(inputs[0], inputs[1], axes(), friendly_name);
}

template class ReductionNode<Sum>;
template class ReductionNode<Mean>;
template class RepeatingNode<Broadcast>;
template class RepeatingNode<MeanBackprop>;

Deltas Sum::make_adjoints(const Deltas& deltas) {
    return {broadcast(*deltas[0], input_values()[0], axes())};
}

Deltas Mean::make_adjoints(const Deltas& deltas) {
    return {mean_backprop(*deltas[0], input_values()[0], axes())};
}

Deltas Broadcast::make_adjoints(const Deltas& deltas) {
    return {sum(*deltas[0], axes()), std::nullopt};
}

Deltas MeanBackprop::make_adjoints(const Deltas& deltas) {
    return {mean(*deltas[0], axes()), std::nullopt};
}

}  // namespace normgraph::op
