#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/ir/node_validation_failure.hpp"
#include "normgraph/op/signature.hpp"
#include "normgraph/op/tensor_type.hpp"

namespace normgraph::op {

/// The constraints C1 to C17 (see constraints.hpp). An op has those that speak of what it has: see
/// `constraints_of`.
///
/// The data inputs are input and the gradient, or the residual, the channel vectors all others but
/// mask and where. A constraint that speaks of what is not known yet holds; one whose premise is
/// violated is not checked: C4's relation to input needs C2 and C3; C6 needs C5; C9 on the data
/// inputs needs C6; C10 needs C9; C12, C15 and C17 need C6, C7 and C9.

/// The attributes of an op that a constraint speaks of.
struct AttributesOfOp {
    bool has_epsilon, has_upper_bound, has_count;
};

/// The labels of the constraints of an op with this signature and these attributes.
std::vector<std::string_view> constraints_of(SignatureView signature, AttributesOfOp attributes);

/// C4 on one vector: whether one with this role and type goes with data of this type.
bool vector_type_fits(Role role, element::Type vector, element::Type data);

/// C1 on its own, for what sets epsilon after construction.
std::optional<Violation> check_epsilon(double epsilon);

/// The values of an op's attributes; nullopt where it has no such attribute.
struct BatchNormAttributes {
    double epsilon;
    std::int64_t channel_axis;
    std::optional<element::Type> statistics_type = std::nullopt;  ///< or that of gamma and beta
    std::optional<double> upper_bound = std::nullopt;             ///< or none
    std::optional<std::int64_t> count = std::nullopt;             ///< or that of the input
};

/// Checks every constraint and merges what the inputs know of each other: element types in both
/// directions, the data inputs' shapes with each other, the number of channels with all of them.
/// mask and where are checked against what they know, and tell them nothing.
///
/// Returns the types of the outputs, in the order of the signature: data have the shape of input, a
/// channel vector has one element per channel, a mask has a bit for each element of input (see
/// relu_mask.hpp). Throws NodeValidationFailure with every violated constraint,
/// std::invalid_argument if there are not as many inputs as the signature has, with the optional
/// one or without.
std::vector<TensorType> infer_batch_norm(std::string_view type_name, SignatureView signature,
                                         const std::vector<TensorType>& inputs,
                                         const BatchNormAttributes& attributes);

}  // namespace normgraph::op
