#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "normgraph/ir/node.hpp"
#include "normgraph/op/tensor_type.hpp"

/// The mask of a rectifier as BatchNormTrainingRelu gives it: made, and used.
namespace normgraph::op {

/// What both ops have: the axis whose place decides how the mask is packed.
class MaskNode : public Node {
public:
    /// As it was given: a negative one counts from the last axis, -1 being the last.
    std::int64_t channel_axis() const noexcept { return channel_axis_; }

    void visit_attributes(AttributeVisitor& visitor) const final;

protected:
    MaskNode(std::vector<Output> inputs, std::int64_t channel_axis, std::string friendly_name);

private:
    std::int64_t channel_axis_;
};

/// A bit for each element: 1 where it is not 0. The mask has no derivative.
///
/// Constraints: C2, C5, C6, C10 (see batch_norm_constraints.hpp; the packing in relu_mask.hpp).
class ReluMask final : public MaskNode {
public:
    static constexpr std::string_view class_name = "ReluMask";
    static constexpr std::array<std::string_view, 1> names_of_inputs{"input"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"mask"};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    explicit ReluMask(const Output& input, std::int64_t channel_axis = 1,
                      std::string friendly_name = {});

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                                         std::int64_t channel_axis);

    std::string_view type_name() const noexcept override { return class_name; }
    std::span<const std::string_view> input_names() const noexcept override {
        return names_of_inputs;
    }
    std::span<const std::string_view> output_names() const noexcept override {
        return names_of_outputs;
    }

private:
    std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const override;
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const override;
};

/// activated_delta where the bit of mask is 1, else +0, whatever is stored there.
///
/// Constraints: C2, C5, C6, C10, C11, C12.
class ReluMaskSelect final : public MaskNode {
public:
    static constexpr std::string_view class_name = "ReluMaskSelect";
    static constexpr std::array<std::string_view, 2> names_of_inputs{"activated_delta", "mask"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    ReluMaskSelect(const Output& activated_delta, const Output& mask, std::int64_t channel_axis = 1,
                   std::string friendly_name = {});

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                                         std::int64_t channel_axis);

    std::string_view type_name() const noexcept override { return class_name; }
    std::span<const std::string_view> input_names() const noexcept override {
        return names_of_inputs;
    }
    std::span<const std::string_view> output_names() const noexcept override {
        return names_of_outputs;
    }

private:
    std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const override;
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const override;
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
