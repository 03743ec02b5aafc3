#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "normgraph/ir/node.hpp"
#include "normgraph/op/tensor_type.hpp"

namespace normgraph::op {

/// Each element as a number of another real type, rounded to nearest even; true is 1. The value may
/// be of any type. Its adjoint converts back, and is refused where the value is not real.
///
/// Constraint: P1, of the new type.
class Convert final : public Node {
public:
    static constexpr std::string_view class_name = "Convert";
    static constexpr std::array<std::string_view, 1> names_of_inputs{"value"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    Convert(const Output& value, element::Type element_type, std::string friendly_name = {});

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                                         element::Type element_type);

    element::Type element_type() const noexcept { return element_type_; }

    std::string_view type_name() const noexcept override { return class_name; }
    std::span<const std::string_view> input_names() const noexcept override {
        return names_of_inputs;
    }
    std::span<const std::string_view> output_names() const noexcept override {
        return names_of_outputs;
    }
    void visit_attributes(AttributeVisitor& visitor) const override;

private:
    std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const override;
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const override;
    Deltas make_adjoints(const Deltas& deltas) override;

    element::Type element_type_;
};

}  // namespace normgraph::op
