#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

/// The mask that BatchNormTrainingRelu puts out: made from an activation, and used.
namespace normgraph::op {

/// The base class of both ops: the axis whose place decides how the mask is packed.
class MaskNode : public Node {
public:
    static constexpr std::tuple attributes{
        Attribute<std::int64_t>{"channel_axis", channel_axis_sentence, default_channel_axis}};

    /// As it was given: a negative one counts from the last axis, -1 being the last.
    std::int64_t channel_axis() const noexcept { return channel_axis_; }

protected:
    MaskNode(std::vector<Output> inputs, std::int64_t channel_axis, std::string friendly_name)
        : Node{std::move(inputs), std::move(friendly_name)}, channel_axis_{channel_axis} {}

    std::tuple<std::int64_t> attribute_values() const { return {channel_axis_}; }

private:
    std::int64_t channel_axis_;
};

/// The base class of ReluMask: the upper bound of the ReLU as well.
class BoundedMaskNode : public MaskNode {
public:
    static constexpr std::tuple attributes =
        std::tuple_cat(MaskNode::attributes, std::tuple{upper_bound_attribute});

    std::optional<double> upper_bound() const noexcept { return upper_bound_; }

protected:
    BoundedMaskNode(std::vector<Output> inputs, std::int64_t channel_axis,
                    std::optional<double> upper_bound, std::string friendly_name)
        : MaskNode{std::move(inputs), channel_axis, std::move(friendly_name)},
          upper_bound_{upper_bound} {}

    auto attribute_values() const {
        return std::tuple_cat(MaskNode::attribute_values(), std::tuple{upper_bound_});
    }

private:
    std::optional<double> upper_bound_;
};

/// A bit for each element of an activation: 1 where it is not 0 and below the upper bound. The mask
/// has no derivative.
///
/// Constraints: C2, C5, C6, C10, C13 (see batch_norm_constraints.hpp; the packing in
/// relu_mask.hpp).
class ReluMask final : public OpNode<ReluMask, BoundedMaskNode> {
public:
    static constexpr std::string_view class_name = "ReluMask";
    static constexpr std::string_view documentation =
        "A bit for each element: 1 where it is not 0 and not >= upper_bound.\n\n"
        "Packed as BatchNormTrainingRelu says. A mask has no derivative.";
    static constexpr Signature<1, 1> signature{{{{"input", Role::input}}},
                                               {{{"mask", Role::mask}}}};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    explicit ReluMask(const Output& input, std::int64_t channel_axis = default_channel_axis,
                      std::optional<double> upper_bound = std::nullopt,
                      std::string friendly_name = {});

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                                         std::int64_t channel_axis,
                                         std::optional<double> upper_bound = std::nullopt);
};

/// activated_delta where the bit of mask is 1, else +0, whatever is stored there.
///
/// Constraints: C2, C5, C6, C10, C11, C12.
class ReluMaskSelect final : public OpNode<ReluMaskSelect, MaskNode> {
public:
    static constexpr std::string_view class_name = "ReluMaskSelect";
    static constexpr std::string_view documentation =
        "The part of a gradient that ReLU lets pass.\n\n"
        "activated_delta where the bit of mask is 1, else 0, whatever is stored there. The mask,\n"
        "packed as BatchNormTrainingRelu says, only selects: nothing is differentiated by it.";
    static constexpr Signature<2, 1> signature{
        {{{"activated_delta", Role::delta}, {"mask", Role::mask}}}, {{{"result", Role::result}}}};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    ReluMaskSelect(const Output& activated_delta, const Output& mask,
                   std::int64_t channel_axis = default_channel_axis,
                   std::string friendly_name = {});

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                                         std::int64_t channel_axis);

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
