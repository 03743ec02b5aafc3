#pragma once

#include <array>
#include <string_view>

/// The constraints of the ops, a sentence each.
namespace normgraph::op {

/// In a sentence, {input} stands for the first data input, {delta} for the second one: the
/// gradient, or the residual.
struct Constraint {
    std::string_view label;
    std::string_view sentence;
};

/// C1 to C17 are those of the batch-normalization family (checked in batch_norm_constraints.cpp),
/// P1 to P10 those of the primitive ops (primitive_constraints.cpp).
inline constexpr std::array constraints{
    Constraint{"C1", "epsilon is finite and >= 0"},
    Constraint{"C2", "{input} has a real element type: f16, bf16, f32 or f64"},
    Constraint{"C3", "{delta} has {input}'s element type"},
    Constraint{"C4",
               "gamma and beta share one type: {input}'s, or f32 when it is f16 or bf16; mean and "
               "variance share one: {input}'s or any wider one"},
    Constraint{"C5", "the rank of {input} is at least 2"},
    Constraint{"C6", "channel_axis lies within the rank, -rank to rank - 1"},
    Constraint{"C7", "the shapes of {delta} and {input} agree, without broadcasting"},
    Constraint{"C8", "each channel vector has rank 1"},
    Constraint{"C9", "all agree on the number of channels C"},
    Constraint{"C10", "C >= 1"},
    Constraint{"C11", "mask has the element type u8"},
    Constraint{"C12", "the shape of mask is that of the packed bits of {input}"},
    Constraint{"C13", "upper_bound, rounded to {input}'s element type, is finite and > 0"},
    Constraint{"C14", "beta_delta and gmul_delta have the element type f64"},
    Constraint{"C15",
               "count is at least the number of elements per channel of {input}; with where, it is "
               ">= 0"},
    Constraint{"C16", "where has the element type boolean"},
    Constraint{"C17",
               "where has {input}'s shape with 1 at channel_axis; any other length may be 1 as "
               "well"},
    Constraint{"P1", "the element type is real: f16, bf16, f32 or f64"},
    Constraint{"P2", "the inputs have one element type"},
    Constraint{"P3", "the inputs have one shape, without broadcasting"},
    Constraint{"P4", "the axes lie within the rank and ascend"},
    Constraint{"P5",
               "the first input has one axis for each of the listed ones, of the length that like "
               "has there"},
    Constraint{"P6", "the inputs have rank 2"},
    Constraint{"P7", "the inner lengths agree"},
    Constraint{"P8", "upper_bound, rounded to the element type, is finite and > 0"},
    Constraint{"P9", "where has the element type boolean"},
    Constraint{"P10", "where has as many axes as value, each of value's length or of length 1"},
};

}  // namespace normgraph::op
