// Memory traffic: the statistics read input once (f64: twice), apply reads it again, and residual,
// and writes normalized and the mask once. One channel at a time.

#include <cmath>
#include <type_traits>
#include <vector>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/moments.hpp"
#include "normgraph/kernel/reference/normalize.hpp"
#include "normgraph/kernel/reference/relu.hpp"
#include "normgraph/kernel/reference/summation.hpp"

namespace normgraph::kernel::reference {
namespace {

/// The elements of a block, as they are when their differences are made.
template <typename Data>
std::vector<term_t<Data>> read_block(const BlockExtent& block, const std::byte* input,
                                     ViewCursor& place) {
    std::vector<term_t<Data>> elements(static_cast<std::size_t>(block.element_count()));
    for (auto& element : elements) {
        element = load<Data>(input + place.offset(0));
        place.advance();
    }
    return elements;
}

/// Σ(element − shift) and Σ(element − shift)² of a block.
template <typename Data>
Sums sums_about(const SummationOrder& order, const BlockExtent& block,
                const std::vector<term_t<Data>>& elements, term_t<Data> shift) {
    auto element = elements.begin();
    return sum_block<Data>(order, block, [&]() -> Term<Data> {
        const term_t<Data> difference = *element++ - shift;
        return {difference, difference};
    });
}

/// A part's moments, and how many elements it has.
struct MomentsNode {
    std::int64_t count = 0;
    Moments moments{};

    friend MomentsNode combined(const MomentsNode& left, const MomentsNode& right) {
        const MergeFactors factors(static_cast<double>(left.count),
                                   static_cast<double>(right.count));
        return {left.count + right.count, merged(left.moments, right.moments, factors)};
    }
};

template <typename Data>
Moments moments_about_shifts_of_blocks(const View& view, const std::byte* input) {
    ViewCursor place(view.elements);
    const auto node_of = [&](const BlockExtent& block) -> MomentsNode {
        const auto elements = read_block<Data>(block, input, place);
        const auto shift =
            shift_of_block(elements.front(), elements[elements.size() / 2], elements.back());
        const Sums sums = sums_about<Data>(view.order, block, elements, shift);
        const std::int64_t count = block.element_count();
        return {count,
                moments_of_block(shift, sums.values, sums.products, static_cast<double>(count))};
    };
    return combine_blocks<MomentsNode>(view.order, node_of).moments;
}

/// The same about one shift for all blocks, whose sums are added.
Moments moments_about(const View& view, const std::byte* input, double shift) {
    ViewCursor place(view.elements);
    const Sums sums = combine_blocks<Sums>(view.order, [&](const BlockExtent& block) {
        const auto elements = read_block<double>(block, input, place);
        return sums_about<double>(view.order, block, elements, shift);
    });
    return moments_of_block(shift, sums.values, sums.products,
                            static_cast<double>(view.elements_per_channel()));
}

/// f64 data has no digits to spare for what the first pass loses where the mean is much larger than
/// the deviation, so a second one is made about the mean that the first has found.
template <typename Data>
Moments moments(const View& view, const std::byte* input) {
    const Moments first = moments_about_shifts_of_blocks<Data>(view, input);
    if constexpr (std::is_same_v<Data, double>) {
        return moments_about(view, input, std::isfinite(first.mean) ? first.mean : 0.0);
    } else {
        return first;
    }
}

/// The first element of a channel; null where there is no tensor.
template <typename Byte>
Byte* of_channel(Byte* address, std::int64_t channel_stride, std::int64_t channel) {
    return address == nullptr ? nullptr : address + channel * channel_stride;
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
            const Moments batch = moments<Data>(view, input);
            const double variance =
                batch.squares / static_cast<double>(view.elements_per_channel());
            set_channel_value(arguments.mean, statistics, channel, batch.mean);
            set_channel_value(arguments.variance, statistics, channel, variance);
            const ForwardCoefficients<arithmetic_t<Data>> coefficients(
                channel_value(arguments.gamma, affine, channel, 1.0),
                channel_value(arguments.beta, affine, channel, 0.0), batch.mean,
                inverse_standard_deviation(Statistics::of_batch, variance, problem.epsilon));
            const ReluChannel tensors{
                input, of_channel(arguments.normalized.address, view.channel_strides[1], channel),
                of_channel(arguments.residual.address, view.channel_strides[2], channel)};
            if (arguments.applies_relu) {
                normalize_with_relu<Data>(arguments, view, channel, tensors, coefficients);
            } else if (tensors.activation != nullptr) {
                normalize<Data>(view, input, tensors.activation, coefficients);
            }
        }
    });
}

}  // namespace normgraph::kernel::reference
