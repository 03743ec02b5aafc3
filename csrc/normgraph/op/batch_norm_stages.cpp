#include "normgraph/op/batch_norm_stages.hpp"

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "normgraph/op/adjoints.hpp"
#include "normgraph/op/batch_norm_backprop_sums.hpp"
#include "normgraph/op/batch_norm_inference_backprop.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/relu_selection.hpp"

namespace normgraph::op {
namespace {

element::Type known_type(const Node& node, const char* of_what, element::Type type) {
    if (type.is_dynamic()) {
        throw std::invalid_argument(node.description() + " '" + node.friendly_name() +
                                    "': expected a known element type of its " + of_what +
                                    " to decompose or to differentiate it, got dynamic");
    }
    return type;
}

/// The statistics that the node has, whose type they share.
const char* name_of_statistics(const BatchNormNode& node) {
    const SignatureView ports = node.ports();
    const bool has_variance =
        has(ports.inputs, Role::variance) || has(ports.outputs, Role::variance);
    return has_variance ? "mean and variance" : "mean";
}

/// The element type of the output or else the input with this role; dynamic if there is neither, or
/// if it is not known.
element::Type type_of(BatchNormNode& node, Role role) {
    const SignatureView ports = node.ports();
    if (has(ports.outputs, role)) {
        return node.output_type(index_of(ports.outputs, role)).element_type;
    }
    return has(ports.inputs, role) ? node.source(role).element_type() : element::dynamic;
}

/// The first type that is known of the channel vectors with these roles, which share it; else
/// `otherwise`.
element::Type shared_type_of(BatchNormNode& node, std::initializer_list<Role> roles,
                             element::Type otherwise) {
    for (const Role role : roles) {
        if (const element::Type type = type_of(node, role); type.is_static()) {
            return type;
        }
    }
    return otherwise;
}

/// The data's, from whichever tensor knows it: an output that is one knows what all inputs do.
element::Type data_type_of(BatchNormNode& node) {
    const SignatureView ports = node.ports();
    if (is_data(ports.outputs[0].role)) {
        return node.output_type(0).element_type;
    }
    const element::Type of_input = node.source(Role::input).element_type();
    return of_input.is_dynamic() && has(ports.inputs, Role::delta)
               ? node.source(Role::delta).element_type()
               : of_input;
}

/// Dynamic for an op without gamma and beta.
element::Type known_affine_type(const Node& node, SignatureView ports, element::Type type) {
    return has(ports.inputs, Role::gamma) ? known_type(node, "gamma and beta", type)
                                          : element::dynamic;
}

/// Beside 16-bit data gamma and beta may be f32, beside others they are as these.
element::Type affine_type_of(BatchNormNode& node, element::Type data) {
    const bool is_data_type = data.size() >= element::f32.size();
    return shared_type_of(node, {Role::gamma_delta, Role::gamma, Role::beta},
                          is_data_type ? data : element::dynamic);
}

/// Beside f64 data mean and variance are f64.
element::Type statistics_type_of(BatchNormNode& node, element::Type data) {
    return shared_type_of(node, {Role::mean, Role::variance},
                          data == element::f64 ? data : element::dynamic);
}

element::Type wider_of(element::Type left, element::Type right) {
    return right.size() > left.size() ? right : left;
}

/// The sum of those that are there; nullopt if neither is.
std::optional<Output> sum_of(const std::optional<Output>& left,
                             const std::optional<Output>& right) {
    if (left && right) {
        return *left + *right;
    }
    return left ? left : right;
}

}  // namespace

BatchNormStages::BatchNormStages(BatchNormNode& node, element::Type compute_type)
    : node_{node},
      where_{node.where()},
      axes_{node.channel_axis()},
      data_type_{known_type(node, "data", data_type_of(node))},
      affine_type_{known_affine_type(node, node.ports(), affine_type_of(node, data_type_))},
      statistics_type_{statistics_type_of(node, data_type_)},
      compute_type_{compute_type.is_dynamic() ? known_type(node, name_of_statistics(node),
                                                           wider_of(affine_type_, statistics_type_))
                                              : compute_type} {
    for (const Port& port : node.ports().inputs) {
        if (port.role != Role::mask) {
            inputs_.emplace(port.role, in_compute_type(node.source(port.role)));
        }
    }
    if (const auto count = node.batch_norm_attributes().count) {
        count_ = filled(static_cast<double>(*count), element::f64, node.source(Role::mean));
    } else if (where_) {
        const Output one = filled(1, element::f64, node.source(Role::input));
        count_ = named(sum_per_channel(counted(one)), "count");
    }
}

Output BatchNormStages::for_each_element(const Output& vector) const {
    return broadcast(vector, node_.input_values()[0], axes_);
}

Output BatchNormStages::counted(const Output& value) const {
    return where_ ? select_where(value, *where_) : value;
}

Output BatchNormStages::reached(const Output& delta) const {
    const Output& data = input(Role::input);
    if (!where_) {
        return data;
    }
    const Output one = filled(1, compute_type_, data);
    const Output positive = std::make_shared<Relu>(delta);
    const Output negative = std::make_shared<Relu>(-delta);
    // data + (−data) is 0 or NaN, which ReLU lets pass.
    const Output is_unusable = std::make_shared<ReluBackprop>(data + -data, one);
    const Output has_part = positive + negative + (one - is_unusable) + counted(one);
    return named(std::make_shared<ReluBackprop>(has_part, data), "reached");
}

Output BatchNormStages::mean_per_channel(const Output& value, std::string name) const {
    if (!count_) {
        return named(mean(value, axes_), std::move(name));
    }
    const Output total = sum_per_channel(convert(value, element::f64));
    return in_compute_type(named(total / *count_, std::move(name)));
}

/// With a count the division is made in f64, as MeanBackprop's, and rounded once.
Output BatchNormStages::share_of_mean(const Output& delta) const {
    if (!count_) {
        return mean_backprop(delta, node_.input_values()[0], axes_);
    }
    return for_each_element(in_compute_type(convert(delta, element::f64) / *count_));
}

Output BatchNormStages::in_statistics_type(const Output& value) const {
    return convert(value, known_type(node_, name_of_statistics(node_), statistics_type_));
}

Output BatchNormStages::centered(const Output& data, const Output& mean) const {
    return named(data - for_each_element(mean), "centered");
}

Output BatchNormStages::inverse_root(const Output& variance) const {
    const double number = node_.batch_norm_attributes().epsilon;
    const Output epsilon = named(filled(number, compute_type_, variance), "epsilon");
    const Output one = filled(1, compute_type_, variance);
    return named(one / square_root(variance + epsilon), "invsqrt");
}

Output BatchNormStages::normed(const Output& centered, const Output& variance) const {
    const Output gmul = named(input(Role::gamma) * inverse_root(variance), "gmul");
    return named(centered * for_each_element(gmul) + for_each_element(input(Role::beta)), "normed");
}

BatchStages BatchNormStages::of_batch() const {
    const Output& all = input(Role::input);
    const Output data = where_ ? named(counted(all), "counted") : all;
    const Output mean = mean_per_channel(data, "mean");
    const Output centered = this->centered(all, mean);
    const Output deviation =
        where_ ? named(counted(data - for_each_element(mean)), "deviation") : centered;
    const Output square = named(deviation * deviation, "square");
    return {mean, centered, mean_per_channel(square, "variance")};
}

BackpropSumStages BatchNormStages::sums(const Output& normed_delta, const Output& centered) const {
    const Output beta_delta = named(sum_per_channel(normed_delta), "beta_delta");
    return {beta_delta, named(sum_per_channel(normed_delta * centered), "gmul_delta")};
}

std::vector<Output> BatchNormStages::backprop(const Output& normed_delta, Statistics statistics,
                                              const std::optional<BackpropSumStages>& given) const {
    const Output delta = in_compute_type(normed_delta);
    const Output gamma = input(Role::gamma);
    const Output variance = input(Role::variance);
    const Output centered = this->centered(reached(delta), input(Role::mean));
    const Output invsqrt = inverse_root(variance);
    const Output gmul = named(gamma * invsqrt, "gmul");

    const auto [beta_delta, gmul_delta] = given ? *given : sums(delta, centered);
    const Output gamma_delta = named(gmul_delta * invsqrt, "gamma_delta");
    Output input_delta = named(delta * for_each_element(gmul), "centered_delta");
    if (statistics == Statistics::of_batch) {
        const Output mean_delta =
            named(given ? -(beta_delta * gmul) : -sum_per_channel(input_delta), "mean_delta");
        const Output invsqrt_delta = named(gmul_delta * gamma, "invsqrt_delta");
        const Output minus_half = filled(-0.5, compute_type_, variance);
        const Output variance_delta =
            named(minus_half * invsqrt_delta * (invsqrt * invsqrt * invsqrt), "variance_delta");
        const Output square_delta = named(share_of_mean(variance_delta), "square_delta");
        input_delta = named(input_delta + counted((centered + centered) * square_delta) +
                                counted(share_of_mean(mean_delta)),
                            "input_delta");
    }
    return {in_data_type(input_delta), in_affine_type(gamma_delta), in_affine_type(beta_delta)};
}

/// The sum with the residual, where the node has one.
static Output with_residual(const BatchNormNode& node, const BatchNormStages& stages,
                            const Output& normed) {
    return has(node.ports().inputs, Role::residual)
               ? named(normed + stages.input(Role::residual), "added")
               : normed;
}

TrainingStages training_stages(BatchNormNode& node, element::Type compute_type) {
    const BatchNormStages stages(node, compute_type);
    const auto [mean, centered, variance] = stages.of_batch();
    const Output added = with_residual(node, stages, stages.normed(centered, variance));
    return {stages.in_data_type(added), stages.in_statistics_type(mean),
            stages.in_statistics_type(variance)};
}

std::vector<Output> activated_stages(ReluNode& node, element::Type compute_type) {
    const TrainingStages stages = training_stages(node, compute_type);
    const std::optional<double> bound = node.upper_bound();
    const Output activated = named(std::make_shared<Relu>(stages.normed, bound), "activated");
    const Output mask =
        named(std::make_shared<ReluMask>(activated, node.channel_axis(), bound), "mask");
    return {activated, stages.mean, stages.variance, mask};
}

Output inference_stages(BatchNormNode& node, element::Type compute_type) {
    const BatchNormStages stages(node, compute_type);
    const Output centered = stages.centered(stages.input(Role::input), stages.input(Role::mean));
    const Output normed = stages.normed(centered, stages.input(Role::variance));
    return stages.in_data_type(with_residual(node, stages, normed));
}

Deltas inference_adjoints(BatchNormNode& node, const Output& normalized_delta) {
    const auto& inputs = node.input_values();
    const auto backprop = std::make_shared<BatchNormInferenceBackprop>(
        inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], normalized_delta,
        node.batch_norm_attributes().epsilon, node.channel_axis());
    // The backward pass rounds its sums to the type of gamma and beta, in which they may even be
    // infinite.
    const auto sums = std::make_shared<BatchNormBackpropSums>(
        inputs[0], inputs[3], normalized_delta, node.channel_axis());

    // With gmul = gamma·invsqrt: d mean = −gmul·Σδ, d variance = −½ gmul·invsqrt·Σδ·x̂.
    const BatchNormStages stages(node, element::f64);
    const Output& variance = stages.input(Role::variance);
    const Output invsqrt = stages.inverse_root(variance);
    const Output gmul = stages.input(Role::gamma) * invsqrt;
    const Output minus_half = filled(-0.5, element::f64, variance);
    const Output mean_delta = -(gmul * sums->output("beta_delta"));
    const Output gamma_delta = sums->output("gmul_delta") * invsqrt;
    const Output variance_delta = minus_half * gmul * invsqrt * gamma_delta;
    return {backprop->output("input_delta"), backprop->output("gamma_delta"),
            backprop->output("beta_delta"), stages.in_statistics_type(mean_delta),
            stages.in_statistics_type(variance_delta)};
}

/// The node's inputs with NaN in the place of an infinite variance; any other keeps its bits. The
/// statistics are in f64, so that they are as wide as those that a pass may widen, unless the type
/// of the data follows from theirs.
static std::vector<Output> inputs_with_usable_variance(BatchNormNode& node) {
    const bool is_wide = node.source(Role::input).element_type().is_static();
    std::vector<Output> inputs = node.input_values();
    for (std::size_t index = 0; index < inputs.size(); ++index) {
        const Role role = node.input_role(index);
        if (is_statistic(role) && is_wide) {
            inputs[index] = convert(inputs[index], element::f64);
        }
        if (role == Role::variance) {
            // NOLINTNEXTLINE(misc-redundant-expression): infinity less itself is NaN
            inputs[index] = inputs[index] + (inputs[index] - inputs[index]);
        }
    }
    return inputs;
}

Deltas adjoints_at_usable_variance(BatchNormNode& node,
                                   const std::function<Deltas(BatchNormNode&)>& adjoints_of) {
    const std::shared_ptr<Node> copy =
        node.clone_with_new_inputs(inputs_with_usable_variance(node), node.friendly_name());
    const BatchNormStages stages(node, element::f64);
    Deltas adjoints = adjoints_of(static_cast<BatchNormNode&>(*copy));
    for (std::size_t index = 0; index < adjoints.size(); ++index) {
        if (adjoints[index] && is_statistic(node.input_role(index))) {
            adjoints[index] = stages.in_statistics_type(*adjoints[index]);
        }
    }
    return adjoints;
}

Deltas backprop_adjoints(BatchNormNode& node, const Deltas& deltas) {
    return adjoints_at_usable_variance(
        node, [&](BatchNormNode& copy) { return adjoints_of_decomposition(copy, deltas); });
}

std::vector<Output> activated_inference_stages(InferenceReluNode& node,
                                               element::Type compute_type) {
    return {named(std::make_shared<Relu>(inference_stages(node, compute_type), node.upper_bound()),
                  "activated")};
}

Deltas activated_inference_adjoints(InferenceReluNode& node, const Output& activated_delta) {
    const Output passed = std::make_shared<ReluBackprop>(node.output("activated"), activated_delta,
                                                         node.upper_bound());
    Deltas adjoints = inference_adjoints(node, passed);
    if (has(node.ports().inputs, Role::residual)) {
        adjoints.emplace_back(passed);
    }
    return adjoints;
}

void check_has_no_mask_delta(const ReluNode& node, const Deltas& deltas) {
    if (deltas[index_of(node.ports().outputs, Role::mask)]) {
        throw std::invalid_argument(node.description() + " '" + node.friendly_name() +
                                    "': its output mask has no derivative");
    }
}

/// The gradient of the input for deltas of the outputs mean and variance; nullopt for neither.
static std::optional<Output> input_delta_of_statistics(
    BatchNormNode& node, const std::optional<Output>& mean_delta,
    const std::optional<Output>& variance_delta) {
    if (!mean_delta && !variance_delta) {
        return std::nullopt;
    }
    const BatchNormStages stages(node, element::f64);
    std::optional<Output> input_delta;
    if (mean_delta) {
        input_delta = stages.share_of_mean(stages.in_compute_type(*mean_delta));
    }
    if (variance_delta) {
        const Output data = stages.counted(stages.input(Role::input));
        const Output centered = stages.centered(data, stages.mean_per_channel(data, {}));
        const Output square_delta = stages.share_of_mean(stages.in_compute_type(*variance_delta));
        input_delta = sum_of(input_delta, (centered + centered) * square_delta);
    }
    return stages.in_data_type(stages.counted(*input_delta));
}

Deltas training_adjoints(BatchNormNode& node, const Deltas& deltas,
                         const std::shared_ptr<Node>& backprop) {
    Deltas adjoints(node.input_values().size());
    if (backprop != nullptr) {
        for (std::size_t input = 0; input < node.ports().inputs.size(); ++input) {
            adjoints[input] = backprop->output(input);
        }
    }
    const std::span<const Port> outputs = node.ports().outputs;
    adjoints[0] =
        sum_of(adjoints[0], input_delta_of_statistics(node, deltas[index_of(outputs, Role::mean)],
                                                      deltas[index_of(outputs, Role::variance)]));
    return adjoints;
}

}  // namespace normgraph::op
