#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"
#include "normgraph/op/expressions.hpp"

namespace normgraph::op {

/// What the stages below make of a batch before it is normalized.
struct BatchStages {
    Output mean, centered, variance;
};

/// The sums of the backward pass.
struct BackpropSumStages {
    Output beta_delta, gmul_delta;
};

/// The stages that the ops of the family are made of, as primitive nodes that are named after their
/// symbols. Per channel, with sums over its n elements:
///
///     mean = Σ input / n                       gmul_delta      = Σ normed_delta · centered
///     centered = input − mean                  beta_delta      = Σ normed_delta
///     square = centered²                       gamma_delta     = gmul_delta · invsqrt
///     variance = Σ square / n                  invsqrt_delta   = gmul_delta · gamma
///     invsqrt = 1 / √(variance + epsilon)      variance_delta  = −½ invsqrt_delta · invsqrt³
///     gmul = gamma · invsqrt                   centered_delta  = normed_delta · gmul
///     normed = centered · gmul + beta          mean_delta      = −Σ centered_delta
///
///     input_delta = centered_delta + 2 · centered · variance_delta / n + mean_delta / n
///
/// mean_delta takes the path through normed alone: at the batch's own mean, ∂variance/∂mean is 0.
///
/// Where the node tells which positions count, n is their number, and mean and variance are sums
/// over them. The sums of the backward pass go over all elements, but for those of `reached`. What
/// comes to an element by way of mean and variance comes to those that count.
class BatchNormStages {
public:
    /// Computes in this type; in the widest of the channel vectors' if it is dynamic. Throws
    /// std::invalid_argument, naming the node, if an element type that is needed is not known.
    BatchNormStages(BatchNormNode& node, element::Type compute_type);

    /// An input of the node, other than a mask, in the type that is computed in.
    const Output& input(Role role) const { return inputs_.at(role); }
    /// A value where a position counts, else 0, whatever it is there.
    Output counted(const Output& value) const;
    /// The input with 0 where a position does not count, no gradient arrives and the input is not a
    /// finite number: it has no part in the backward pass, and 0 times it would be NaN. (A finite
    /// one has none either, but the derivative of that by the gradient.)
    Output reached(const Output& delta) const;
    /// A value in the type that is computed in.
    Output in_compute_type(const Output& value) const { return convert(value, compute_type_); }
    Output in_data_type(const Output& value) const { return convert(value, data_type_); }
    /// The type of gamma and beta.
    Output in_affine_type(const Output& value) const { return convert(value, affine_type_); }
    /// The type of mean and variance. Throws std::invalid_argument, naming the node, if it is not
    /// known.
    Output in_statistics_type(const Output& value) const;

    /// A channel vector for each element of the input.
    Output for_each_element(const Output& vector) const;
    Output sum_per_channel(const Output& value) const { return sum(value, axes_); }
    /// The sum / n, of this name, of a value that is 0 where a position does not count.
    Output mean_per_channel(const Output& value, std::string name) const;
    /// delta / n for each element, n being the node's count if it has one.
    Output share_of_mean(const Output& delta) const;

    /// data − mean
    Output centered(const Output& data, const Output& mean) const;
    /// 1 / √(variance + epsilon)
    Output inverse_root(const Output& variance) const;
    /// centered · gmul + beta, in the type that is computed in.
    Output normed(const Output& centered, const Output& variance) const;

    BatchStages of_batch() const;
    /// Of values in the type that is computed in.
    BackpropSumStages sums(const Output& normed_delta, const Output& centered) const;

    /// input_delta, gamma_delta and beta_delta, in the op's types. With statistics that
    /// are given, input_delta is centered_delta. Sums that are given take the place of the node's
    /// own; mean_delta is then −beta_delta · gmul.
    std::vector<Output> backprop(
        const Output& normed_delta, Statistics statistics,
        const std::optional<BackpropSumStages>& given = std::nullopt) const;

private:
    BatchNormNode& node_;
    std::optional<Output> where_;
    std::vector<std::int64_t> axes_;
    element::Type data_type_;
    element::Type affine_type_;
    element::Type statistics_type_;  // dynamic if it is not known
    element::Type compute_type_;
    std::map<Role, Output> inputs_;  // converted once, however often they are read
    std::optional<Output> count_;    // n for each channel, in f64; that of all elements if absent
};

/// The outputs of a training op, in its types, before any ReLU.
struct TrainingStages {
    Output normed, mean, variance;
};

/// From a node with the inputs input, gamma and beta; a residual, if it has one, is added to
/// normed.
TrainingStages training_stages(BatchNormNode& node, element::Type compute_type);

/// The outputs of a training op with a ReLU: activated, mean, variance and mask.
std::vector<Output> activated_stages(ReluNode& node, element::Type compute_type);

/// What an op with statistics among its inputs normalizes, before any ReLU, in its type; a
/// residual, if it has one, is added.
Output inference_stages(BatchNormNode& node, element::Type compute_type);

/// The adjoints of the first five inputs of such an op (input, gamma, beta, mean and variance), for
/// the gradient of what it normalizes. Those of mean and variance are computed in f64, from sums
/// that are not rounded.
Deltas inference_adjoints(BatchNormNode& node, const Output& normalized_delta);

/// The adjoints of an op with statistics of the batch among its inputs, as `adjoints_of` makes them
/// for a copy of the node that reads NaN in the place of an infinite variance: as in the kernels,
/// no gradient is lost as a 0. Throws std::invalid_argument, naming the node, if the element type
/// of the statistics is not known.
Deltas adjoints_at_usable_variance(BatchNormNode& node,
                                   const std::function<Deltas(BatchNormNode&)>& adjoints_of);

/// The adjoints of such an op by those of its decomposition.
Deltas backprop_adjoints(BatchNormNode& node, const Deltas& deltas);

/// The output of an inference op with a ReLU.
std::vector<Output> activated_inference_stages(InferenceReluNode& node, element::Type compute_type);

/// The adjoints of an inference op with a ReLU, the residual's last, if it has one.
Deltas activated_inference_adjoints(InferenceReluNode& node, const Output& activated_delta);

/// The adjoints of a training op. `deltas` are those of its outputs; `backprop` computes the
/// gradients of the inputs, in their order, for the first of them, and is null where that does not
/// arrive. Those of mean and variance are computed in f64, in the type of the input.
Deltas training_adjoints(BatchNormNode& node, const Deltas& deltas,
                         const std::shared_ptr<Node>& backprop);

/// Throws std::invalid_argument, naming the node, for a delta of its mask.
void check_has_no_mask_delta(const ReluNode& node, const Deltas& deltas);

/// The adjoints of a training op with a ReLU, whose gradients `Backprop` computes. Throws
/// std::invalid_argument, naming the node, for a delta of its mask.
template <typename Backprop>
Deltas activated_adjoints(ReluNode& node, const Deltas& deltas) {
    check_has_no_mask_delta(node, deltas);
    std::shared_ptr<Node> backprop;
    if (const std::optional<Output>& activated_delta = deltas[0]) {
        const auto& inputs = node.input_values();
        backprop = std::make_shared<Backprop>(inputs[0], inputs[1], inputs[2], node.output("mean"),
                                              node.output("variance"), node.output("mask"),
                                              *activated_delta, node.epsilon(), node.channel_axis(),
                                              std::string(), node.where());
    }
    return training_adjoints(node, deltas, backprop);
}

}  // namespace normgraph::op
