#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "normgraph/kernel/element_type.hpp"

/// What a caller hands to a kernel. Nothing here owns memory, and kernels check nothing: the
/// conditions stated below are the caller's (normgraph/runtime checks them for arrays).
namespace normgraph::kernel {

/// The tensors' common shape, which axis counts the channels, and their element types.
struct Problem {
    std::span<const std::int64_t> shape;  ///< lengths; rank >= 2; 64 axes at most longer than 1
    std::int64_t channel_axis;            ///< 0 <= channel_axis < rank; shape[channel_axis] >= 1
    ElementType data_type;                ///< of all tensors
    ElementType affine_type;      ///< of gamma, beta, gamma_delta, beta_delta: data_type, or f32
                                  ///< with 16-bit data
    ElementType statistics_type;  ///< of mean and variance: data_type, or any wider one
    double epsilon;               ///< finite, >= 0
};

/// A tensor of Problem::shape in any strides: zero, negative, and unaligned ones included.
/// A null address means "absent": an output that is not wanted.
struct ConstTensor {
    const std::byte* address = nullptr;       ///< of the element with all indices zero
    std::span<const std::int64_t> strides{};  ///< in bytes, one per axis
};
struct Tensor {
    std::byte* address = nullptr;
    std::span<const std::int64_t> strides{};  ///< no two elements may share memory
};

/// A vector of one element per channel. A null address means "absent": gamma 1, beta 0, or an
/// output that is not wanted.
struct ConstChannelVector {
    const std::byte* address = nullptr;
    std::int64_t stride = 0;  ///< in bytes
};
struct ChannelVector {
    std::byte* address = nullptr;
    std::int64_t stride = 0;
};

/// A bit for each element of a tensor, which tells whether ReLU lets it pass, packed as
/// relu_mask.hpp describes. A null address means "absent".
struct ConstReluMask {
    const std::byte* address = nullptr;
};
struct ReluMask {
    std::byte* address = nullptr;
};

/// Stands for the upper bound of a ReLU that has none: nothing compares with it.
inline constexpr double no_upper_bound = std::numeric_limits<double>::quiet_NaN();

/// The channels from begin up to end, a part of a problem: threads share a problem by its channels.
/// The order of summation is that of the whole problem, whatever the part. Where channels share
/// bytes of a ReluMask that is written, begin is a multiple of 8, and so is end unless it is the
/// last.
struct ChannelRange {
    std::int64_t begin, end;
};

inline ChannelRange all_channels(const Problem& problem) {
    return {0, problem.shape[static_cast<std::size_t>(problem.channel_axis)]};
}

/// The statistics of a batch of which a tensor is a part, in place of its own. Null addresses mean
/// "absent".
struct ConstBatchStatistics {
    ConstChannelVector mean{}, variance{};
    ElementType type = ElementType::f64;  ///< of both

    bool are_given() const { return mean.address != nullptr; }
};

/// Which positions of a batch count (see counted_positions.hpp), as many as a channel has elements.
/// Null: all.
class CountedPositions;

/// Outputs must not overlap each other or any input, with one exception: the tensor output may be
/// exactly an input tensor (same address, same strides).

/// normalized = gamma · (input − mean) / √(variance + epsilon) + beta, mean and variance (biased,
/// 1/n) over all axes but the channel axis. At least one element per channel.
///
/// With applies_relu, each y, rounded to its type, becomes +0 if y <= 0, upper_bound, rounded to
/// the same type, if y has reached it, and stays else (NaN stays); the mask's bits are 1 where y
/// stays. A residual is added to y before y is rounded. Both outputs may be absent; a mask and a
/// residual need applies_relu.
struct BatchNormTrainingArguments {
    Problem problem;
    ConstTensor input;
    ConstChannelVector gamma, beta;
    Tensor normalized;
    ChannelVector mean, variance;
    bool applies_relu = false;  ///< BatchNormTrainingRelu and BatchNormTrainingAddRelu
    ReluMask mask{};
    double upper_bound = no_upper_bound;  ///< of the ReLU; finite and > 0 in the data's type
    ConstTensor residual{};               ///< BatchNormTrainingAddRelu
    /// BatchNormTrainingApply. (BatchNormStatistics is this kernel without `normalized`.)
    ConstBatchStatistics statistics{};
    const CountedPositions* positions =
        nullptr;  ///< at least one counts, unless statistics are given
};

/// normalized = gamma · (input − mean) / √(variance + epsilon) + beta, mean and variance as given.
/// With applies_relu it is the activation that is written, of the sum with a residual if there is
/// one, as BatchNormTraining does.
struct BatchNormInferenceArguments {
    Problem problem;
    ConstTensor input;
    ConstChannelVector gamma, beta, mean, variance;
    Tensor normalized;
    bool applies_relu = false;            ///< BatchNormInferenceRelu and BatchNormInferenceAddRelu
    double upper_bound = no_upper_bound;  ///< of the ReLU; finite and > 0 in the data's type
    ConstTensor residual{};               ///< BatchNormInferenceAddRelu
};

/// What mean and variance are to a backward pass: computed from the batch, so that gradients flow
/// through them, or given.
enum class Statistics : std::uint8_t { of_batch, given };

/// The sums of a batch of which the tensors are a part, in place of their own. Null addresses mean
/// "absent".
struct ConstBackpropSums {
    ConstChannelVector beta_delta{};  ///< of f64: Σ normalized_delta
    ConstChannelVector gmul_delta{};  ///< of f64: Σ normalized_delta·(input − mean)
    double count = 0.0;               ///< elements of a channel of that batch, n

    bool are_given() const { return beta_delta.address != nullptr; }
};

/// With n elements per channel, inv = 1/√(variance + epsilon), x̂ = (input − mean)·inv:
/// beta_delta = Σ normalized_delta, gamma_delta = Σ normalized_delta·x̂, and input_delta =
/// gamma·inv·(normalized_delta − beta_delta/n − x̂·gamma_delta/n) with the statistics of the batch
/// (BatchNormTrainingBackprop), gamma·inv·normalized_delta with given ones
/// (BatchNormInferenceBackprop).
///
/// With a mask, normalized_delta is +0 where the mask's bit is 0, whatever is stored there. Only
/// with the statistics of the batch may there be one.
///
/// BatchNormBackpropSums is made of this as well: an absent variance is 0, so that with an epsilon
/// of 1 inv is 1, and gamma_delta, in f64, Σ normalized_delta·(input − mean).
struct BatchNormBackpropArguments {
    Problem problem;
    Statistics statistics;
    ConstTensor input;
    ConstChannelVector gamma, mean, variance;
    ConstTensor normalized_delta;
    Tensor input_delta;
    ChannelVector gamma_delta, beta_delta;
    /// An input: BatchNormTrainingReluBackprop, and BatchNormTrainingAddReluBackprop, whose
    /// residual_delta is ReluMaskSelect's result.
    ConstReluMask mask{};
    ConstBackpropSums sums{};  ///< BatchNormTrainingBackpropApply
    /// Only with the statistics of the batch.
    const CountedPositions* positions = nullptr;
};

/// The node of each leaf of each channel (see summation_order.hpp), for a batch that is a part of a
/// larger one: `leaves` is [leaf][2][channel], of as many as summation_order() says.
///
/// A node is the mean and Σ(x − mean)² of its elements. With a center, [channel], it is
/// Σ(x − center) and Σ(x − center)²: the second pass of f64.
struct BatchNormStatisticsArguments {
    Problem problem;  ///< affine_type, statistics_type and epsilon are not read
    ConstTensor input;
    const double* center = nullptr;
    double* leaves = nullptr;
    const CountedPositions* positions = nullptr;  ///< a leaf of which none counts is zeros
};

/// The same of the backward pass: a node is Σ normalized_delta and Σ normalized_delta·(input −
/// mean), the mean as the terms of the sum have it (see products_about). With a mask,
/// normalized_delta is +0 where the mask's bit is 0.
struct BatchNormBackpropSumsArguments {
    Problem problem;  ///< affine_type and epsilon are not read
    ConstTensor input;
    ConstChannelVector mean;
    ConstTensor normalized_delta;
    ConstReluMask mask{};
    double* leaves = nullptr;
    const CountedPositions* positions = nullptr;
};

/// The kernels of the family: each is named by its arguments.
template <template <typename...> typename List>
using BatchNormKernels =
    List<BatchNormTrainingArguments, BatchNormInferenceArguments, BatchNormBackpropArguments,
         BatchNormStatisticsArguments, BatchNormBackpropSumsArguments>;

}  // namespace normgraph::kernel
