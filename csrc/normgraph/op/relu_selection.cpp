#include "normgraph/op/relu_selection.hpp"

#include <memory>
#include <optional>
#include <utility>

#include "normgraph/op/batch_norm_constraints.hpp"

namespace normgraph::op {

namespace {

// These ops have no epsilon; 0 is a valid one.
constexpr double no_epsilon = 0;

}  // namespace

ReluMask::ReluMask(const Output& input, std::int64_t channel_axis,
                   std::optional<double> upper_bound, std::string friendly_name)
    : OpNode{{input}, channel_axis, upper_bound, std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> ReluMask::infer(const std::vector<TensorType>& inputs,
                                        std::int64_t channel_axis,
                                        std::optional<double> upper_bound) {
    return infer_batch_norm(class_name, signature, inputs,
                            {no_epsilon, channel_axis, std::nullopt, upper_bound});
}

ReluMaskSelect::ReluMaskSelect(const Output& activated_delta, const Output& mask,
                               std::int64_t channel_axis, std::string friendly_name)
    : OpNode{{activated_delta, mask}, channel_axis, std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> ReluMaskSelect::infer(const std::vector<TensorType>& inputs,
                                              std::int64_t channel_axis) {
    return infer_batch_norm(class_name, signature, inputs, {no_epsilon, channel_axis});
}

Deltas ReluMaskSelect::make_adjoints(const Deltas& deltas) {
    return {std::make_shared<ReluMaskSelect>(*deltas[0], input_values()[1], channel_axis()),
            std::nullopt};
}

}  // namespace normgraph::op
