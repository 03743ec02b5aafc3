#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "normgraph/op/batch_norm_node.hpp"

namespace normgraph::op {

/// BatchNormTraining and ReLU in one: see `documentation`. Bits of the mask beyond the last element
/// are 0 (see relu_mask_shape in relu_mask.hpp).
///
/// Constraints: C1, C2, C4, C5, C6, C8, C9, C10, C13, C16, C17 (see batch_norm_constraints.hpp).
class BatchNormTrainingRelu final : public BatchNormOp<BatchNormTrainingRelu, 3, ReluNode> {
public:
    static constexpr std::string_view class_name = "BatchNormTrainingRelu";
    static constexpr std::string_view function_name = "batch_norm_training_relu";
    static constexpr std::string_view documentation =
        R"(Normalize each channel with the statistics of this batch, and apply ReLU.

With normalized as BatchNormTraining gives it, rounded to its element type:

    activated = 0 where normalized <= 0, upper_bound where normalized >= upper_bound,
                else normalized                                     (a NaN stays)
    mask      = a bit for each element: 1 where activated is neither 0 nor upper_bound

mask is all of the output that the backward pass needs. Its bits are packed, eight to a byte, the
least significant first. With outer and inner the products of the lengths before and after the
channel axis, its shape is {outer, ceil(C/8)} if the channel axis is the last one, else
{outer, C, ceil(inner/8)}: numpy.packbits(bits, axis=-1, bitorder="little"), where bits has the
shape (outer, C) or (outer, C, inner). upper_bound=6.0 is that of ReLU6.)";
    static constexpr Signature<3, 4> signature{
        {{ports::input, ports::gamma, ports::beta}},
        {{ports::activated, ports::batch_mean, ports::batch_variance, ports::made_mask}},
        ports::counted_where};

    using BatchNormOpWith::BatchNormOpWith;

    std::optional<std::vector<Output>> decompose(element::Type compute_type) override;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
