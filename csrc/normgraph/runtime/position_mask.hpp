#pragma once

#include <cstdint>

#include "normgraph/kernel/counted_positions.hpp"
#include "normgraph/runtime/array.hpp"

/// Masked batches: which positions of an array count, from the arrays that tell it.
namespace normgraph::runtime {

/// From a boolean array, true where a position counts, which broadcasts as numpy's arrays do to the
/// shape of `input` without the channel axis, or with one of length 1. `channel_axis`: from the
/// front. Throws std::invalid_argument, which begins with "where:", for another type or shape.
kernel::CountedPositions positions_where(const Array& where, const Array& input,
                                         std::int64_t channel_axis);

/// Throws what positions_where does, for this type and shape: nothing is read.
void check_where(const Array& where, const Array& input, std::int64_t channel_axis);

/// Whether any element of a boolean array is true.
bool has_true_element(const Array& where);

/// From the length of each sample: of the axis that follows the samples', both not being that of
/// the channels, positions 0 … length − 1 count. `lengths` is a vector of integers, one for each
/// sample. Throws std::invalid_argument, which begins with "lengths:", for anything else.
kernel::CountedPositions positions_of_lengths(const Array& lengths, const Array& input,
                                              std::int64_t channel_axis);

/// Throws what positions_of_lengths does, but for the lengths' values: nothing is read.
void check_lengths(const Array& lengths, const Array& input, std::int64_t channel_axis);

}  // namespace normgraph::runtime
