#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "normgraph/ir/node.hpp"

namespace normgraph {

/// A value that is given when the graph runs; its type may be known in part only.
///
/// A new element type or shape is a declaration: the output, and all that depends on it, has it
/// after the next validation (Function::validate_nodes_and_infer_types).
class Parameter final : public Node {
public:
    static constexpr std::string_view class_name = "Parameter";
    static constexpr std::array<std::string_view, 1> names_of_outputs{"output"};

    /// An empty friendly name stands for a generated one.
    Parameter(element::Type element_type, PartialShape shape, std::string friendly_name = {});

    element::Type element_type() const noexcept { return declared_.element_type; }
    const PartialShape& partial_shape() const noexcept { return declared_.partial_shape; }
    void set_element_type(element::Type element_type) noexcept {
        declared_.element_type = element_type;
    }
    void set_partial_shape(PartialShape shape) noexcept {
        declared_.partial_shape = std::move(shape);
    }

    std::string_view type_name() const noexcept override { return class_name; }
    std::span<const std::string_view> input_names() const noexcept override { return {}; }
    std::span<const std::string_view> output_names() const noexcept override {
        return names_of_outputs;
    }
    void visit_attributes(AttributeVisitor& visitor) const override;

private:
    std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const override;
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const override;

    TensorType declared_;
};

}  // namespace normgraph
