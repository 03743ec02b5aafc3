// Memory traffic: the statistics read input once (f64: twice), apply reads it again and writes
// normalized and the mask once. One channel at a time.

#include <type_traits>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/moments.hpp"
#include "normgraph/kernel/reference/normalize.hpp"
#include "normgraph/kernel/reference/relu.hpp"
#include "normgraph/kernel/reference/summation.hpp"

namespace normgraph::kernel::reference {
namespace {

/// Σ(input − shift) and Σ(input − shift)².
template <typename Data>
Sums<2> reduce(const View& view, const std::byte* input, double shift) {
    ViewCursor place(view.elements);
    return sum_channel<2>(view.order(), [&]() -> Sums<2> {
        const double shifted = static_cast<double>(load<Data>(input + place.offset(0))) - shift;
        place.advance();
        return {shifted, shifted * shifted};
    });
}

template <typename Data>
Moments moments_about(const View& view, const std::byte* input, double shift) {
    const auto [sum, sum_of_squares] = reduce<Data>(view, input, shift);
    return moments_from_sums(shift, sum, sum_of_squares, view.elements_per_channel());
}

/// For f64 data one pass about the first element would cost a factor n of the variance's last bits,
/// so a second one is made about the mean that the first has found.
template <typename Data>
Moments moments(const View& view, const std::byte* input) {
    const double first = load<Data>(input);
    const Moments about_first = moments_about<Data>(view, input, usable_shift(first));
    if constexpr (std::is_same_v<Data, double>) {
        return moments_about<Data>(view, input, usable_shift(about_first.mean));
    } else {
        return about_first;
    }
}

}  // namespace

void run_kernel(const BatchNormTrainingArguments& arguments, ChannelRange range) {
    const Problem& problem = arguments.problem;
    const ElementType type = problem.channel_type;
    const View view =
        make_view(problem, {arguments.input.strides, arguments.normalized.strides, {}});
    with_data_type(problem.data_type, [&]<typename Data>() {
        for (std::int64_t channel = range.begin; channel < range.end; ++channel) {
            const std::byte* input = arguments.input.address + channel * view.channel_strides[0];
            const Moments batch = moments<Data>(view, input);
            set_channel_value(arguments.mean, type, channel, batch.mean);
            set_channel_value(arguments.variance, type, channel, batch.variance);
            const ForwardCoefficients<arithmetic_t<Data>> coefficients(
                channel_value(arguments.gamma, type, channel, 1.0),
                channel_value(arguments.beta, type, channel, 0.0), batch.mean, batch.variance,
                problem.epsilon);
            std::byte* const normalized =
                arguments.normalized.address == nullptr
                    ? nullptr
                    : arguments.normalized.address + channel * view.channel_strides[1];
            if (arguments.applies_relu) {
                normalize_with_relu<Data>(problem, view, channel, input, coefficients, normalized,
                                          arguments.mask.address);
            } else if (normalized != nullptr) {
                normalize<Data>(view, input, normalized, coefficients);
            }
        }
    });
}

}  // namespace normgraph::kernel::reference
