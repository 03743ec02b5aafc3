#pragma once

#include <array>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "normgraph/op/op_node.hpp"

namespace normgraph::op {

/// The base class of MatrixMultiply: which of the matrices are transposed first.
class MatrixMultiplyAttributes : public Node {
public:
    static constexpr std::tuple attributes{
        Attribute<bool>{"transpose_left", "whether left is transposed first"},
        Attribute<bool>{"transpose_right", "whether right is transposed first"}};

    bool transpose_left() const noexcept { return transpose_left_; }
    bool transpose_right() const noexcept { return transpose_right_; }

protected:
    MatrixMultiplyAttributes(std::vector<Output> inputs, bool transpose_left, bool transpose_right,
                             std::string friendly_name)
        : Node{std::move(inputs), std::move(friendly_name)},
          transpose_left_{transpose_left},
          transpose_right_{transpose_right} {}

    std::tuple<bool, bool> attribute_values() const { return {transpose_left_, transpose_right_}; }

private:
    bool transpose_left_;
    bool transpose_right_;
};

/// The product of two matrices, each transposed first if asked for. Products are summed in double
/// and rounded once.
///
/// Constraints: P1, P2, P6, P7 (see primitive_constraints.hpp).
class MatrixMultiply final : public OpNode<MatrixMultiply, MatrixMultiplyAttributes> {
public:
    static constexpr std::string_view class_name = "MatrixMultiply";
    static constexpr std::string_view documentation =
        "The product of two matrices.\n\nProducts are summed in double and rounded once.";
    static constexpr std::array<std::string_view, 4> constraint_labels{"P1", "P2", "P6", "P7"};
    static constexpr Signature<2, 1> signature{{{{"left"}, {"right"}}}, {{{"result"}}}};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    MatrixMultiply(const Output& left, const Output& right, bool transpose_left = false,
                   bool transpose_right = false, std::string friendly_name = {});

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs, bool transpose_left,
                                         bool transpose_right);

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
