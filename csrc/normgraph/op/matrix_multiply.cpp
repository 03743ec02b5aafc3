#include "normgraph/op/matrix_multiply.hpp"

#include <memory>
#include <utility>

#include "normgraph/op/primitive_constraints.hpp"

namespace normgraph::op {

MatrixMultiply::MatrixMultiply(const Output& left, const Output& right, bool transpose_left,
                               bool transpose_right, std::string friendly_name)
    : OpNode{{left, right}, transpose_left, transpose_right, std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> MatrixMultiply::infer(const std::vector<TensorType>& inputs,
                                              bool transpose_left, bool transpose_right) {
    return {infer_matrix_product(class_name, input_names_of<MatrixMultiply>, inputs, transpose_left,
                                 transpose_right)};
}

Deltas MatrixMultiply::make_adjoints(const Deltas& deltas) {
    const Output& left = input_values()[0];
    const Output& right = input_values()[1];
    const Output& delta = *deltas[0];
    // With L and R the matrices as they are multiplied: d(L) = delta·Rᵀ and d(R) = Lᵀ·delta; where
    // one was transposed, its own gradient is the transposed product.
    const auto left_delta =
        transpose_left()
            ? std::make_shared<MatrixMultiply>(right, delta, transpose_right(), true)
            : std::make_shared<MatrixMultiply>(delta, right, false, !transpose_right());
    const auto right_delta =
        transpose_right() ? std::make_shared<MatrixMultiply>(delta, left, true, transpose_left())
                          : std::make_shared<MatrixMultiply>(left, delta, !transpose_left(), false);
    return {Output(left_delta), Output(right_delta)};
}

}  // namespace normgraph::op
