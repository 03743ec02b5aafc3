#include "normgraph/op/relu_selection.hpp"

#include <optional>
#include <utility>

#include "normgraph/op/batch_norm_constraints.hpp"

namespace normgraph::op {

namespace {

// These ops have no epsilon; 0 is a valid one.
constexpr double no_epsilon = 0;

}  // namespace

MaskNode::MaskNode(std::vector<Output> inputs, std::int64_t channel_axis, std::string friendly_name)
    : Node{std::move(inputs), std::move(friendly_name)}, channel_axis_{channel_axis} {}

void MaskNode::visit_attributes(AttributeVisitor& visitor) const {
    visitor.on_attribute("channel_axis", channel_axis_);
}

ReluMask::ReluMask(const Output& input, std::int64_t channel_axis, std::string friendly_name)
    : MaskNode{{input}, channel_axis, std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> ReluMask::infer(const std::vector<TensorType>& inputs,
                                        std::int64_t channel_axis) {
    return {infer_batch_norm(class_name, names_of_inputs, inputs, no_epsilon, channel_axis).mask};
}

std::vector<TensorType> ReluMask::infer_types(const std::vector<TensorType>& inputs) const {
    return infer(inputs, channel_axis());
}

std::shared_ptr<Node> ReluMask::make_clone(const std::vector<Output>& inputs,
                                           const std::string& friendly_name) const {
    return std::make_shared<ReluMask>(inputs[0], channel_axis(), friendly_name);
}

ReluMaskSelect::ReluMaskSelect(const Output& activated_delta, const Output& mask,
                               std::int64_t channel_axis, std::string friendly_name)
    : MaskNode{{activated_delta, mask}, channel_axis, std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> ReluMaskSelect::infer(const std::vector<TensorType>& inputs,
                                              std::int64_t channel_axis) {
    return {infer_batch_norm(class_name, names_of_inputs, inputs, no_epsilon, channel_axis).data};
}

std::vector<TensorType> ReluMaskSelect::infer_types(const std::vector<TensorType>& inputs) const {
    return infer(inputs, channel_axis());
}

std::shared_ptr<Node> ReluMaskSelect::make_clone(const std::vector<Output>& inputs,
                                                 const std::string& friendly_name) const {
    return std::make_shared<ReluMaskSelect>(inputs[0], inputs[1], channel_axis(), friendly_name);
}

Deltas ReluMaskSelect::make_adjoints(const Deltas& deltas) {
    return {std::make_shared<ReluMaskSelect>(*deltas[0], input_values()[1], channel_axis()),
            std::nullopt};
}

}  // namespace normgraph::op
