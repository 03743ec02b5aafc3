#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "normgraph/ir/node_validation_failure.hpp"
#include "normgraph/op/tensor_type.hpp"

namespace normgraph::op {

/// The constraints of the family. An op has those that speak of inputs it has.
///
///     C1   epsilon is finite and >= 0
///     C2   input has a real element type: f16, bf16, f32 or f64
///     C3   normalized_delta has input's element type
///     C4   the channel vectors share one type: input's, or f32 when input is f16 or bf16
///     C5   the rank of input is at least 2
///     C6   channel_axis lies within the rank, -rank to rank - 1
///     C7   the shapes of normalized_delta and input agree (no broadcasting)
///     C8   each channel vector has rank 1
///     C9   all agree on the number of channels C
///     C10  C >= 1
///     C11  mask has the element type u8
///     C12  the shape of mask is that of the packed bits of input
///
/// The data inputs are input and normalized_delta (or activated_delta, in its place), the channel
/// vectors all others but mask. A constraint that speaks of what is not known yet holds; one whose
/// premise is violated is not checked: C4's relation to input needs C2 and C3; C6 needs C5; C9 on
/// the data inputs needs C6; C10 needs C9; C12 needs C6, C7 and C9.

/// C1 on its own, for what sets epsilon after construction.
std::optional<Violation> check_epsilon(double epsilon);

/// The types that the outputs of the family have.
struct BatchNormTypes {
    TensorType data;     ///< the shape of input
    TensorType channel;  ///< a vector with one element per channel
    TensorType mask;     ///< a bit for each element of input (see relu_mask.hpp)
};

/// Checks every constraint and merges what the inputs know of each other: element types in both
/// directions, the data inputs' shapes with each other, the number of channels with all of them.
/// A mask is checked against what they know, and tells them nothing.
///
/// Throws NodeValidationFailure with every violated constraint, std::invalid_argument if there are
/// not as many inputs as names.
BatchNormTypes infer_batch_norm(std::string_view type_name,
                                std::span<const std::string_view> input_names,
                                const std::vector<TensorType>& inputs, double epsilon,
                                std::int64_t channel_axis);

}  // namespace normgraph::op
