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

/// The product of two matrices, each transposed first if asked for. Products are summed in double
/// and rounded once.
///
/// Constraints: P1, P2, P6, P7 (see primitive_constraints.hpp).
class MatrixMultiply final : public Node {
public:
    static constexpr std::string_view class_name = "MatrixMultiply";
    static constexpr std::array<std::string_view, 2> names_of_inputs{"left", "right"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    MatrixMultiply(const Output& left, const Output& right, bool transpose_left = false,
                   bool transpose_right = false, std::string friendly_name = {});

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs, bool transpose_left,
                                         bool transpose_right);

    bool transpose_left() const noexcept { return transpose_left_; }
    bool transpose_right() const noexcept { return transpose_right_; }

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

    bool transpose_left_;
    bool transpose_right_;
};

}  // namespace normgraph::op
