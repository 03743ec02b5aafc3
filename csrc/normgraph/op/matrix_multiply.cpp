#include "normgraph/op/matrix_multiply.hpp"

#include <utility>

#include "normgraph/op/primitive_constraints.hpp"

namespace normgraph::op {

MatrixMultiply::MatrixMultiply(const Output& left, const Output& right, bool transpose_left,
                               bool transpose_right, std::string friendly_name)
    : Node{{left, right}, std::move(friendly_name)},
      transpose_left_{transpose_left},
      transpose_right_{transpose_right} {
    validate_and_infer_types();
}

std::vector<TensorType> MatrixMultiply::infer(const std::vector<TensorType>& inputs,
                                              bool transpose_left, bool transpose_right) {
    return {
        infer_matrix_product(class_name, names_of_inputs, inputs, transpose_left, transpose_right)};
}

void MatrixMultiply::visit_attributes(AttributeVisitor& visitor) const {
    visitor.on_attribute("transpose_left", transpose_left_);
    visitor.on_attribute("transpose_right", transpose_right_);
}

std::vector<TensorType> MatrixMultiply::infer_types(const std::vector<TensorType>& inputs) const {
    return infer(inputs, transpose_left_, transpose_right_);
}

std::shared_ptr<Node> MatrixMultiply::make_clone(const std::vector<Output>& inputs,
                                                 const std::string& friendly_name) const {
    return std::make_shared<MatrixMultiply>(inputs[0], inputs[1], transpose_left_, transpose_right_,
                                            friendly_name);
}

Deltas MatrixMultiply::make_adjoints(const Deltas& deltas) {
    const Output& left = input_values()[0];
    const Output& right = input_values()[1];
    const Output& delta = *deltas[0];
    // With L and R the matrices as they are multiplied: d(L) = delta·Rᵀ and d(R) = Lᵀ·delta; where
    // one was transposed, its own gradient is the transposed product.
    const auto left_delta =
        transpose_left_ ? std::make_shared<MatrixMultiply>(right, delta, transpose_right_, true)
                        : std::make_shared<MatrixMultiply>(delta, right, false, !transpose_right_);
    const auto right_delta =
        transpose_right_ ? std::make_shared<MatrixMultiply>(delta, left, true, transpose_left_)
                         : std::make_shared<MatrixMultiply>(left, delta, !transpose_left_, false);
    return {Output(left_delta), Output(right_delta)};
}

}  // namespace normgraph::op
