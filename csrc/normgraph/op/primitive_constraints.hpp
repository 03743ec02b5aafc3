#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "normgraph/op/tensor_type.hpp"

namespace normgraph::op {

/// The constraints P1 to P10 (see constraints.hpp). An op has those that speak of what it has.
///
/// What is not known yet violates nothing. Each function throws NodeValidationFailure with every
/// violated constraint, std::invalid_argument if there are not as many inputs as names.

/// Whether `shape` has as many axes as `whole`, each of its length or of length 1; true where that
/// is not known.
bool may_be_broadcast(const PartialShape& shape, const PartialShape& whole);

/// All inputs have one real element type and one shape, and the output has them too. A bound is one
/// of that type (P8).
TensorType infer_elementwise(std::string_view type_name,
                             std::span<const std::string_view> input_names,
                             const std::vector<TensorType>& inputs,
                             std::optional<double> upper_bound = std::nullopt);

/// Of an op that leaves the listed axes and reduces all others (P1, P4).
TensorType infer_reduction(std::string_view type_name,
                           std::span<const std::string_view> input_names,
                           const std::vector<TensorType>& inputs,
                           const std::vector<std::int64_t>& kept_axes);

/// Of an op that repeats its first input, whose axes stand at the listed ones of the second, along
/// the others (P1, P4, P5). The second input gives its shape alone.
TensorType infer_broadcast(std::string_view type_name,
                           std::span<const std::string_view> input_names,
                           const std::vector<TensorType>& inputs,
                           const std::vector<std::int64_t>& axes);

/// Of an op that keeps or drops elements of its first input, of which the second one, which is
/// broadcast to it, tells whether they stay (P1, P9, P10).
TensorType infer_selection(std::string_view type_name,
                           std::span<const std::string_view> input_names,
                           const std::vector<TensorType>& inputs);

/// Of the product of two matrices (P1, P2, P6, P7).
TensorType infer_matrix_product(std::string_view type_name,
                                std::span<const std::string_view> input_names,
                                const std::vector<TensorType>& inputs, bool transpose_left,
                                bool transpose_right);

}  // namespace normgraph::op
