// Memory traffic: the statistics read input once (f64: twice), apply reads it again, and residual,
// and writes normalized and the mask once. One channel at a time.

#include <cmath>
#include <type_traits>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/moments.hpp"
#include "normgraph/kernel/reference/block_moments.hpp"
#include "normgraph/kernel/reference/normalize.hpp"
#include "normgraph/kernel/reference/relu.hpp"
#include "normgraph/kernel/reference/summation.hpp"

namespace normgraph::kernel::reference {
namespace {

template <typename Data>
Moments moments_about_shifts_of_blocks(const View& view, const std::byte* input,
                                       const CountedPositions* positions) {
    return combine_blocks<MomentsNode>(view.order, BlockMoments<Data>(view, input, positions))
        .moments;
}

/// The elements of a channel that count.
double counted_in(const View& view, const CountedPositions* positions) {
    return static_cast<double>(counted_of(view.elements_per_channel(), positions));
}

/// The same about one shift for all blocks, whose sums are added.
Moments moments_about(const View& view, const std::byte* input, double shift,
                      const CountedPositions* positions) {
    const Sums sums =
        combine_blocks<Sums>(view.order, BlockSums<double>(view, input, shift, positions));
    return moments_of_block(shift, sums.values, sums.products, counted_in(view, positions));
}

/// f64 data has no digits to spare for what the first pass loses where the mean is much larger than
/// the deviation, so a second one is made about the mean that the first has found.
template <typename Data>
Moments moments(const View& view, const std::byte* input, const CountedPositions* positions) {
    const Moments first = moments_about_shifts_of_blocks<Data>(view, input, positions);
    if constexpr (std::is_same_v<Data, double>) {
        return moments_about(view, input, std::isfinite(first.mean) ? first.mean : 0.0, positions);
    } else {
        return first;
    }
}

struct ChannelStatistics {
    double mean, variance;
};

/// Of the batch, or those that are given.
template <typename Data>
ChannelStatistics statistics_of(const BatchNormTrainingArguments& arguments, const View& view,
                                std::int64_t channel, const std::byte* input) {
    if (const ConstBatchStatistics& given = arguments.statistics; given.are_given()) {
        return {channel_value(given.mean, given.type, channel, 0.0),
                channel_value(given.variance, given.type, channel, 0.0)};
    }
    const Moments batch = moments<Data>(view, input, arguments.positions);
    return {batch.mean, batch.squares / counted_in(view, arguments.positions)};
}

}  // namespace

void run_kernel(const BatchNormTrainingArguments& arguments, ChannelRange range) {
    const Problem& problem = arguments.problem;
    const ElementType affine = problem.affine_type;
    const ElementType statistics = problem.statistics_type;
    const View view = make_view(problem, {arguments.input.strides, arguments.normalized.strides,
                                          arguments.residual.strides});
    with_data_type(problem.data_type, [&]<typename Data>() {
        for (std::int64_t channel = range.begin; channel < range.end; ++channel) {
            const std::byte* input = arguments.input.address + channel * view.channel_strides[0];
            const auto [mean, variance] = statistics_of<Data>(arguments, view, channel, input);
            set_channel_value(arguments.mean, statistics, channel, mean);
            set_channel_value(arguments.variance, statistics, channel, variance);
            const ForwardCoefficients<arithmetic_t<Data>> coefficients(
                channel_value(arguments.gamma, affine, channel, 1.0),
                channel_value(arguments.beta, affine, channel, 0.0), mean,
                inverse_standard_deviation(Statistics::of_batch, variance, problem.epsilon));
            const ReluChannel tensors(view, channel, arguments.input, arguments.normalized,
                                      arguments.residual);
            if (arguments.applies_relu) {
                normalize_with_relu<Data>(problem, view, channel, tensors, coefficients,
                                          arguments.upper_bound, arguments.mask.address);
            } else if (tensors.activation != nullptr) {
                normalize<Data>(view, input, tensors.activation, coefficients);
            }
        }
    });
}

}  // namespace normgraph::kernel::reference
