// Memory traffic: the statistics read input once (f64: twice); apply reads it again, from a cache
// where a group of channels fits one, and writes normalized once.

#include <array>
#include <cmath>
#include <type_traits>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/coefficients.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/moments.hpp"
#include "normgraph/kernel/simd/phases/run.hpp"

namespace normgraph::kernel::simd {
namespace {

template <typename Data>
class Training {
public:
    using Element = Data;
    using Arithmetic = arithmetic_t<Data>;
    static constexpr std::size_t coefficient_count = 3;

    Training(const MicroKernelTable& table, const BatchNormTrainingArguments& arguments,
             const Traversals& traversals)
        : kernels_(table[arguments.problem.data_type]),
          merge_moments_(table.merge_moments),
          arguments_(arguments),
          count_(static_cast<double>(traversals.reduce().elements_per_channel())) {}

    /// f64 data has no digits to spare for what the first pass loses where the mean is much larger
    /// than the deviation: a second one is made about the mean that the first has found.
    static int pass_count() { return std::is_same_v<Data, double> ? 2 : 1; }
    Reduction reduction(int pass) const {
        Reduction reduction{kernels_.moments, kernels_.fold_rows, kernels_.add_chains};
        if (pass == 0) {
            reduction.combine = merge_moments_;
            reduction.shifts_of_block = kernels_.block_shifts;
            reduction.make_moments = kernels_.make_moments;
        }
        return reduction;
    }
    bool applies() const {
        return arguments_.normalized.address != nullptr || arguments_.mask.address != nullptr;
    }
    RowsAndColumns<Apply> application(const GroupValues& /*group*/) const {
        return arguments_.applies_relu ? kernels_.normalize_relu : kernels_.normalize;
    }

    void begin_group(const ChannelRange& /*channels*/, const GroupValues& /*group*/) const {}

    void finish_pass(int pass, const ChannelRange& channels, const GroupValues& group) const {
        for (std::int64_t channel = 0; channel < group.channels; ++channel) {
            Moments batch{group.value(0, channel), group.value(1, channel)};
            if (pass + 1 < pass_count()) {
                group.template set_shift<Data>(channel,
                                               std::isfinite(batch.mean) ? batch.mean : 0.0);
                continue;
            }
            if (pass > 0) {
                batch = moments_of_block(group.template shift<Data>(channel), batch.mean,
                                         batch.squares, count_);
            }
            finish_channel(channels.begin + channel, channel, batch, group);
        }
    }

private:
    void finish_channel(std::int64_t channel, std::int64_t index, const Moments& batch,
                        const GroupValues& group) const {
        const ElementType affine = arguments_.problem.affine_type;
        const ElementType statistics = arguments_.problem.statistics_type;
        set_channel_value(arguments_.mean, statistics, channel, batch.mean);
        const double variance = batch.squares / count_;
        set_channel_value(arguments_.variance, statistics, channel, variance);
        if (applies()) {
            group.set_coefficients<Arithmetic>(
                index, ForwardCoefficients<Arithmetic>(
                           channel_value(arguments_.gamma, affine, channel, 1.0),
                           channel_value(arguments_.beta, affine, channel, 0.0), batch.mean,
                           inverse_standard_deviation(Statistics::of_batch, variance,
                                                      arguments_.problem.epsilon)));
        }
    }

    const MicroKernels& kernels_;
    CombineNodes merge_moments_;
    const BatchNormTrainingArguments& arguments_;
    double count_;
};

}  // namespace

void run_kernel(const MicroKernelTable& table, const BatchNormTrainingArguments& arguments,
                std::int64_t num_threads) {
    const std::array sources{arguments.input};
    const TensorList tensors{sources, arguments.normalized};
    Traversals traversals(arguments.problem, tensors);
    traversals.set_reduce_sources(std::array<std::size_t, 1>{0});
    traversals.set_apply_sources(std::array<std::size_t, 1>{0});
    if (arguments.applies_relu) {
        traversals.set_mask(arguments.mask.address, true, num_threads);
    }
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        run(Training<Data>(table, arguments, traversals), traversals, num_threads);
    });
    traversals.finish_mask(num_threads);
}

}  // namespace normgraph::kernel::simd
