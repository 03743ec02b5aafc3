#pragma once

#include <cstdint>

#include "normgraph/ir/partial_shape.hpp"

namespace normgraph::op {

/// The shape of a ReLU's mask: a bit for each element of a tensor of shape `data`, eight
/// to a byte. With outer and inner the products of the lengths before and after the channel axis it
/// is {outer, ceil(C/8)} if the channel axis is the last one, else {outer, C, ceil(inner/8)}.
///
/// What is not known of `data` is not known of it; a negative channel axis tells the mask's rank
/// even where that of `data` is dynamic. `channels` is what is known of C. `channel_axis` lies
/// within the rank, if that is known.
PartialShape relu_mask_shape(const PartialShape& data, std::int64_t channel_axis,
                             const Dimension& channels);

}  // namespace normgraph::op
