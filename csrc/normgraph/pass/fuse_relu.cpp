#include "normgraph/pass/fuse_relu.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/batch_norm_training_backprop.hpp"
#include "normgraph/op/batch_norm_training_relu.hpp"
#include "normgraph/op/batch_norm_training_relu_backprop.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/pass/rewrite.hpp"

namespace normgraph::pass {
namespace {

using Values = std::optional<std::vector<Output>>;

template <typename Op>
const Op* as(const Node& node) {
    return dynamic_cast<const Op*>(&node);
}

bool is_normalized(const Output& value) {
    return as<op::BatchNormTraining>(*value.node()) != nullptr && value.index() == 0;
}

/// The ReLU behind a value: its upper bound, if it has one.
struct Activation {
    std::optional<double> upper_bound;

    friend bool operator==(const Activation&, const Activation&) = default;
};

/// By node: the one ReLU through which alone its first output is read.
using Activations = std::unordered_map<const Node*, Activation>;

/// Of which ReLU the activation would do where the node reads this input: ReLU of it, and the
/// elements that ReLU's gradient lets pass, are the same. nullopt where it would not.
std::optional<Activation> activation_read_by(const Node& node, std::size_t input) {
    if (const auto* const relu = as<op::Relu>(node)) {
        return Activation{relu->upper_bound()};
    }
    const auto* const backprop = as<op::ReluBackprop>(node);
    return backprop != nullptr && input == 0 ? std::optional(Activation{backprop->upper_bound()})
                                             : std::nullopt;
}

Activations find_activations(const Function& function) {
    Activations activations;
    std::unordered_set<const Node*> read_otherwise;
    for (const Output& result : function.results()) {
        if (is_normalized(result)) {
            read_otherwise.insert(result.node().get());
        }
    }
    for (const std::shared_ptr<Node>& node : function.nodes()) {
        for (std::size_t index = 0; index < node->input_values().size(); ++index) {
            const Output& input = node->input_values()[index];
            if (!is_normalized(input)) {
                continue;
            }
            const std::optional<Activation> read = activation_read_by(*node, index);
            if (!read ||
                activations.try_emplace(input.node().get(), *read).first->second != *read) {
                read_otherwise.insert(input.node().get());
            }
        }
    }
    std::erase_if(activations,
                  [&](const auto& of_node) { return read_otherwise.contains(of_node.first); });
    return activations;
}

std::vector<Output> fuse_forward(const op::BatchNormTraining& node, const Activation& activation) {
    const auto& inputs = node.input_values();
    const auto fused = std::make_shared<op::BatchNormTrainingRelu>(
        inputs[0], inputs[1], inputs[2], node.epsilon(), node.channel_axis(),
        node.statistics_type(), activation.upper_bound, node.friendly_name());
    return {fused->output("activated"), fused->output("mean"), fused->output("variance")};
}

/// The fused node whose activated output this is, by this ReLU; null for another value.
std::shared_ptr<Node> fused_origin(const Output& value, const Activation& activation) {
    const auto* const fused = as<op::BatchNormTrainingRelu>(*value.node());
    const bool is_activated =
        fused != nullptr && value.index() == 0 && Activation{fused->upper_bound()} == activation;
    return is_activated ? value.node() : nullptr;
}

/// Whether the backward node differentiates this forward node, where it stands.
bool is_backprop_of(const op::BatchNormTrainingBackprop& backprop,
                    const op::BatchNormTrainingRelu& forward, const Output& mean,
                    const Output& variance) {
    const auto& inputs = backprop.input_values();
    return std::ranges::equal(std::span(inputs).first(3), forward.input_values()) &&
           inputs[3] == mean && inputs[4] == variance && backprop.epsilon() == forward.epsilon() &&
           backprop.channel_axis() == forward.channel_axis();
}

Values fuse_backward(const op::BatchNormTrainingBackprop& backprop) {
    const auto& inputs = backprop.input_values();
    const auto* const relu_backprop =
        as<op::ReluBackprop>(*backprop.source(op::Role::delta).node());
    const std::shared_ptr<Node> forward =
        relu_backprop == nullptr
            ? nullptr
            : fused_origin(relu_backprop->input_values()[0], {relu_backprop->upper_bound()});
    if (forward == nullptr ||
        !is_backprop_of(backprop, *as<op::BatchNormTrainingRelu>(*forward), forward->output("mean"),
                        forward->output("variance"))) {
        return std::nullopt;
    }
    const auto fused = std::make_shared<op::BatchNormTrainingReluBackprop>(
        inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], forward->output("mask"),
        relu_backprop->input_values()[1], backprop.epsilon(), backprop.channel_axis(),
        backprop.friendly_name());
    return fused->outputs();
}

}  // namespace

Function fuse_relu(const Function& function) {
    const Activations activations = find_activations(function);
    return rewrite(function, [&](const Node& original, Node& node) -> Values {
        if (const auto found = activations.find(&original); found != activations.end()) {
            return fuse_forward(*as<op::BatchNormTraining>(node), found->second);
        }
        const auto* const relu = as<op::Relu>(node);
        if (relu != nullptr && fused_origin(relu->input_values()[0], {relu->upper_bound()})) {
            return node.input_values();  // it is activated already
        }
        const auto* const backprop = as<op::BatchNormTrainingBackprop>(node);
        return backprop == nullptr ? std::nullopt : fuse_backward(*backprop);
    });
}

}  // namespace normgraph::pass
