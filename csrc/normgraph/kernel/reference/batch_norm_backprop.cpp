// Memory traffic: reduce reads input and normalized_delta once; apply reads both again and writes
// input_delta once. One channel at a time.

#include <cstdint>

#include "normgraph/kernel/center.hpp"
#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/coefficients.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/reference/block_deltas.hpp"
#include "normgraph/kernel/reference/position_reader.hpp"
#include "normgraph/kernel/reference/relu.hpp"
#include "normgraph/kernel/reference/summation.hpp"
#include "normgraph/kernel/reference/view.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::reference {
namespace {

/// One channel of the tensors: the addresses of its first element.
struct BackpropChannel {
    const std::byte* input;
    const std::byte* normalized_delta;
    std::byte* input_delta;
};

BackpropChannel channel_of(const BatchNormBackpropArguments& arguments, const View& view,
                           std::int64_t channel) {
    std::byte* const input_delta = arguments.input_delta.address;
    return {arguments.input.address + channel * view.channel_strides[0],
            arguments.normalized_delta.address + channel * view.channel_strides[1],
            input_delta == nullptr ? nullptr : input_delta + channel * view.channel_strides[2]};
}

/// Writes input_delta(input, normalized_delta) for each element.
template <typename Data, typename Formula>
void apply(const View& view, const BackpropChannel& channel, GradientReader<Data> gradient,
           const Formula& input_delta) {
    ViewCursor place(view.elements);
    for (std::int64_t element = 0; element < view.elements_per_channel(); ++element) {
        stop_if_interrupted(element);
        const auto input = load<Data>(channel.input + place.offset(0));
        const auto delta = gradient.next(channel.normalized_delta + place.offset(1));
        store<Data>(channel.input_delta + place.offset(2), input_delta(input, delta));
        place.advance();
    }
}

Sums given_sums(const ConstBackpropSums& sums, std::int64_t channel) {
    return {channel_value(sums.beta_delta, ElementType::f64, channel, 0.0),
            channel_value(sums.gmul_delta, ElementType::f64, channel, 0.0)};
}

template <typename Data>
Sums sums_of_channel(const View& view, const BackpropChannel& channel,
                     const GradientReader<Data>& gradient, double mean,
                     const CountedPositions* positions) {
    if (view.elements_per_channel() == 0) {
        return Sums{};
    }
    const Sums sums = combine_blocks<Sums>(
        view.order, BlockDeltas<Data>(view, channel.input, channel.normalized_delta, gradient, mean,
                                      positions));
    return {sums.values, products_about<Data>(mean, sums.products, sums.values)};
}

template <typename Data>
void run_channel(const BatchNormBackpropArguments& arguments, const View& view,
                 std::int64_t index) {
    using Arithmetic = arithmetic_t<Data>;
    const Problem& problem = arguments.problem;
    const ElementType affine = problem.affine_type;
    const ElementType statistics = problem.statistics_type;
    const bool has_sums = arguments.sums.are_given();
    const std::int64_t counted = counted_of(view.elements_per_channel(), arguments.positions);
    const double count = has_sums ? arguments.sums.count : static_cast<double>(counted);
    const double gamma = channel_value(arguments.gamma, affine, index, 1.0);
    const double mean = channel_value(arguments.mean, statistics, index, 0.0);
    const double variance = channel_value(arguments.variance, statistics, index, 0.0);
    const BackpropChannel channel = channel_of(arguments, view, index);
    const GradientReader<Data> gradient(problem, index, arguments.mask);

    const Sums sums = has_sums
                          ? given_sums(arguments.sums, index)
                          : sums_of_channel(view, channel, gradient, mean, arguments.positions);
    const double inverse =
        inverse_standard_deviation(arguments.statistics, variance, problem.epsilon);
    const double gamma_delta = gamma_delta_of(sums.products, inverse, count);
    set_channel_value(arguments.gamma_delta, affine, index, gamma_delta);
    set_channel_value(arguments.beta_delta, affine, index, sums.values);
    if (channel.input_delta == nullptr || view.elements_per_channel() == 0) {
        return;
    }
    const BackpropValues values{gamma, mean, inverse, gamma_delta / count, sums.values / count};
    const FrozenBackpropCoefficients<Arithmetic> frozen(values);
    if (arguments.statistics == Statistics::given) {
        apply<Data>(view, channel, gradient,
                    [&](Arithmetic /*input*/, Arithmetic delta) { return frozen(delta); });
        return;
    }
    const BackpropCoefficients<Arithmetic> of_batch(values);
    PositionReader counting(arguments.positions);
    apply<Data>(view, channel, gradient, [&](Arithmetic input, Arithmetic delta) {
        return counting.next() ? of_batch(input, delta) : frozen(delta);
    });
}

}  // namespace

void run_kernel(const BatchNormBackpropArguments& arguments, ChannelRange range) {
    const View view =
        make_view(arguments.problem, {arguments.input.strides, arguments.normalized_delta.strides,
                                      arguments.input_delta.strides});
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        for (std::int64_t channel = range.begin; channel < range.end; ++channel) {
            run_channel<Data>(arguments, view, channel);
        }
    });
}

}  // namespace normgraph::kernel::reference
