#include "normgraph/pass/fuse_relu.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "normgraph/ir/users.hpp"
#include "normgraph/op/batch_norm_inference.hpp"
#include "normgraph/op/batch_norm_inference_add_relu.hpp"
#include "normgraph/op/batch_norm_inference_relu.hpp"
#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/batch_norm_training_add_relu.hpp"
#include "normgraph/op/batch_norm_training_add_relu_backprop.hpp"
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
    const Node& node = *value.node();
    return value.index() == 0 && (as<op::BatchNormTraining>(node) != nullptr ||
                                  as<op::BatchNormInference>(node) != nullptr);
}

/// Whether this may be what a fused op applies ReLU to.
bool may_be_activated(const Output& value) {
    return is_normalized(value) || as<op::Add>(*value.node()) != nullptr;
}

/// The ReLU behind a value: its upper bound, if it has one.
struct Activation {
    std::optional<double> upper_bound;

    friend bool operator==(const Activation&, const Activation&) = default;
};

/// By node that may be activated: the one ReLU through which alone its first output is read.
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
        if (may_be_activated(result)) {
            read_otherwise.insert(result.node().get());
        }
    }
    for (const std::shared_ptr<Node>& node : function.nodes()) {
        for (std::size_t index = 0; index < node->input_values().size(); ++index) {
            const Output& input = node->input_values()[index];
            if (!may_be_activated(input)) {
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

/// A sum of normalized data and of a residual, behind which a ReLU stands.
struct Addition {
    Output residual;
    Activation activation;
};

/// What is fused: by op that normalizes, the sum that alone reads its normalized data; by sum,
/// which of its inputs these are.
struct Additions {
    std::unordered_map<const Node*, Addition> of_norms;
    std::unordered_map<const Node*, std::size_t> of_sums;
};

/// Sums that are fused: in f32 or f64, where a sum of rounded normalized data has the same bits,
/// and where the residual is computed before the data are normalized.
Additions find_additions(const Function& function, const Activations& activations) {
    const Users users(function);
    std::unordered_map<const Node*, std::size_t> places;
    for (const std::shared_ptr<Node>& node : function.nodes()) {
        places.emplace(node.get(), places.size());
    }
    Additions additions;
    for (const std::shared_ptr<Node>& node : function.nodes()) {
        const auto activation = activations.find(node.get());
        const element::Type type = node->output_type(0).element_type;
        if (as<op::Add>(*node) == nullptr || activation == activations.end() ||
            (type != element::f32 && type != element::f64)) {
            continue;
        }
        for (const std::size_t index : {0U, 1U}) {
            const Output& normalized = node->input_values()[index];
            const Output& residual = node->input_values()[1 - index];
            if (is_normalized(normalized) && users.count(normalized) == 1 &&
                places.at(residual.node().get()) < places.at(normalized.node().get())) {
                additions.of_norms.emplace(normalized.node().get(),
                                           Addition{residual, activation->second});
                additions.of_sums.emplace(node.get(), index);
                break;
            }
        }
    }
    return additions;
}

/// An op that normalizes, and what is fused with it.
struct FusedForward {
    Activation activation;
    std::optional<Output> residual;
};

/// The node's outputs, from an op that does all of it.
std::vector<Output> fuse_forward(const op::BatchNormTraining& node, const FusedForward& fused) {
    const auto& inputs = node.input_values();
    const auto with_relu = [&]<typename Op>(const auto&... inputs_of_op) {
        const auto op = std::make_shared<Op>(inputs_of_op..., node.epsilon(), node.channel_axis(),
                                             node.statistics_type(), fused.activation.upper_bound,
                                             node.friendly_name(), node.where());
        return std::vector{op->output("activated"), op->output("mean"), op->output("variance")};
    };
    return fused.residual
               ? with_relu.operator()<op::BatchNormTrainingAddRelu>(inputs[0], inputs[1], inputs[2],
                                                                    *fused.residual)
               : with_relu.operator()<op::BatchNormTrainingRelu>(inputs[0], inputs[1], inputs[2]);
}

std::vector<Output> fuse_forward(const op::BatchNormInference& node, const FusedForward& fused) {
    const auto& inputs = node.input_values();
    const auto with_relu = [&]<typename Op>(const auto&... residual) {
        const auto op = std::make_shared<Op>(inputs[0], inputs[1], inputs[2], inputs[3], inputs[4],
                                             residual..., node.epsilon(), node.channel_axis(),
                                             fused.activation.upper_bound, node.friendly_name());
        return op->outputs();
    };
    return fused.residual ? with_relu.operator()<op::BatchNormInferenceAddRelu>(*fused.residual)
                          : with_relu.operator()<op::BatchNormInferenceRelu>();
}

/// The ReLU that a fused op has applied to this value; nullopt for another value.
std::optional<Activation> applied_activation(const Output& value) {
    if (value.index() != 0) {
        return std::nullopt;
    }
    if (const auto* const training = as<op::ReluNode>(*value.node())) {
        return Activation{training->upper_bound()};
    }
    const auto* const inference = as<op::InferenceReluNode>(*value.node());
    return inference == nullptr ? std::nullopt
                                : std::optional(Activation{inference->upper_bound()});
}

/// The fused node of training whose activated output this is, by this ReLU; null for another value.
const op::ReluNode* fused_origin(const Output& value, const Activation& activation) {
    return applied_activation(value) == activation ? as<op::ReluNode>(*value.node()) : nullptr;
}

/// The gradient of ReLU behind a sum is that of the residual, from the mask.
Values fuse_residual_delta(const op::ReluBackprop& node) {
    const Output& activated = node.input_values()[0];
    const op::ReluNode* const forward = fused_origin(activated, {node.upper_bound()});
    if (forward == nullptr || as<op::BatchNormTrainingAddRelu>(*forward) == nullptr) {
        return std::nullopt;
    }
    Node& of_outputs = *activated.node();
    const auto& inputs = forward->input_values();
    const auto fused = std::make_shared<op::BatchNormTrainingAddReluBackprop>(
        inputs[0], inputs[1], inputs[2], of_outputs.output("mean"), of_outputs.output("variance"),
        of_outputs.output("mask"), node.input_values()[1], forward->epsilon(),
        forward->channel_axis(), node.friendly_name(), forward->where());
    return std::vector{fused->output("residual_delta")};
}

/// The gradients of input, gamma and beta.
std::vector<Output> first_three(Node& backprop) {
    std::vector<Output> outputs = backprop.outputs();
    outputs.resize(3, outputs.front());
    return outputs;
}

/// Whether the backward node differentiates an op that has these inputs and statistics, and of
/// which the same positions count.
bool is_backprop_of(const op::BatchNormTrainingBackprop& backprop, std::span<const Output> inputs,
                    const op::EpsilonNode& other) {
    return std::ranges::equal(std::span(backprop.input_values()).first(5), inputs) &&
           backprop.where() == other.where() && backprop.epsilon() == other.epsilon() &&
           backprop.channel_axis() == other.channel_axis();
}

Values fuse_backward(const op::BatchNormTrainingBackprop& backprop) {
    const Output& delta = backprop.source(op::Role::delta);
    if (const auto* const fused = as<op::BatchNormTrainingAddReluBackprop>(*delta.node())) {
        const bool fits =
            delta == delta.node()->output("residual_delta") &&
            is_backprop_of(backprop, std::span(fused->input_values()).first(5), *fused);
        return fits ? Values(first_three(*delta.node())) : std::nullopt;
    }
    const auto* const relu_backprop = as<op::ReluBackprop>(*delta.node());
    if (relu_backprop == nullptr) {
        return std::nullopt;
    }
    const Output& activated = relu_backprop->input_values()[0];
    const op::ReluNode* const forward = fused_origin(activated, {relu_backprop->upper_bound()});
    if (forward == nullptr) {
        return std::nullopt;
    }
    Node& of_outputs = *activated.node();
    std::vector<Output> inputs = forward->input_values();
    inputs.resize(3, activated);
    inputs.push_back(of_outputs.output("mean"));
    inputs.push_back(of_outputs.output("variance"));
    if (!is_backprop_of(backprop, inputs, *forward)) {
        return std::nullopt;
    }
    const auto fused = std::make_shared<op::BatchNormTrainingReluBackprop>(
        inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], of_outputs.output("mask"),
        relu_backprop->input_values()[1], backprop.epsilon(), backprop.channel_axis(),
        backprop.friendly_name(), backprop.where());
    return fused->outputs();
}

}  // namespace

Function fuse_relu(const Function& function) {
    const Activations activations = find_activations(function);
    const Additions additions = find_additions(function, activations);
    // A residual is computed before the data are normalized, so that its new value is there.
    const auto fused_with = [&](const Node& original,
                                const NewValues& values) -> std::optional<FusedForward> {
        if (const auto found = additions.of_norms.find(&original);
            found != additions.of_norms.end()) {
            return FusedForward{found->second.activation, values.of(found->second.residual)};
        }
        const auto found = activations.find(&original);
        return found == activations.end() || as<op::Add>(original) != nullptr
                   ? std::nullopt
                   : std::optional(FusedForward{found->second, std::nullopt});
    };
    return rewrite(function, [&](Node& original, Node& node, const NewValues& values) -> Values {
        if (const std::optional<FusedForward> fused = fused_with(original, values)) {
            const auto* const training = as<op::BatchNormTraining>(node);
            return training != nullptr ? fuse_forward(*training, *fused)
                                       : fuse_forward(*as<op::BatchNormInference>(node), *fused);
        }
        if (const auto sum = additions.of_sums.find(&original); sum != additions.of_sums.end()) {
            return std::vector{node.input_values()[sum->second]};  // it is activated already
        }
        if (const auto* const relu = as<op::Relu>(node)) {
            const bool is_done =
                applied_activation(relu->input_values()[0]) == Activation{relu->upper_bound()};
            return is_done ? Values(node.input_values()) : std::nullopt;
        }
        if (const auto* const relu_backprop = as<op::ReluBackprop>(node)) {
            return fuse_residual_delta(*relu_backprop);
        }
        const auto* const backprop = as<op::BatchNormTrainingBackprop>(node);
        return backprop == nullptr ? std::nullopt : fuse_backward(*backprop);
    });
}

}  // namespace normgraph::pass
