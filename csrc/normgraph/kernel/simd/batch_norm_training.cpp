// Memory traffic: the statistics read input once (f64: twice); apply reads it again, from a cache
// where a group of channels fits one, reads residual once, and writes normalized once.

#include <array>
#include <cmath>
#include <span>
#include <type_traits>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/counted_positions.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/moments.hpp"
#include "normgraph/kernel/simd/phases/forward.hpp"
#include "normgraph/kernel/simd/phases/reductions.hpp"
#include "normgraph/kernel/simd/phases/run.hpp"

namespace normgraph::kernel::simd {
namespace {

template <typename Data, bool takes_bound>
class Training {
public:
    using Element = Data;
    using Arithmetic = arithmetic_t<Data>;
    using Channels = ForwardChannels<Data, takes_bound>;
    static constexpr std::size_t coefficient_count = Channels::coefficient_count;

    Training(const MicroKernelTable& table, const BatchNormTrainingArguments& arguments,
             const Traversals& traversals)
        : table_(table),
          kernels_(table[arguments.problem.data_type]),
          channel_kernels_(table.channels),
          arguments_(arguments),
          elements_(traversals.reduce().elements_per_channel()),
          count_(static_cast<double>(counted_of(elements_, arguments.positions))) {}

    /// f64 data has no digits to spare for what the first pass loses where the mean is much larger
    /// than the deviation: a second one is made about the mean that the first has found.
    int pass_count() const {
        return arguments_.statistics.are_given() ? 0 : std::is_same_v<Data, double> ? 2 : 1;
    }
    Reduction reduction(int pass) const {
        return pass == 0 ? moments_of_blocks(table_, arguments_.problem.data_type)
                         : sums_about_shifts(kernels_);
    }
    bool applies() const {
        return elements_ > 0 &&
               (arguments_.normalized.address != nullptr || arguments_.mask.address != nullptr);
    }
    RowsAndColumns<Apply> application(const GroupValues& /*group*/) const {
        return ForwardForm(arguments_).kernel(kernels_);
    }

    void begin_group(const ChannelRange& channels, const GroupValues& group) const {
        const ConstBatchStatistics& given = arguments_.statistics;
        if (!given.are_given()) {
            return;
        }
        for_channel_arrays(group.channels, [&](std::int64_t index, std::int64_t count) {
            const std::int64_t first = channels.begin + index;
            ChannelArray mean, variance;
            for (std::int64_t channel = 0; channel < count; ++channel) {
                mean[channel] = channel_value(given.mean, given.type, first + channel, 0.0);
                variance[channel] = channel_value(given.variance, given.type, first + channel, 0.0);
            }
            set_results(first, index, count, mean, variance, group);
        });
    }

    void finish_pass(int pass, const ChannelRange& channels, const GroupValues& group) const {
        for_channel_arrays(group.channels, [&](std::int64_t first, std::int64_t count) {
            if (pass + 1 < pass_count()) {
                set_shifts(first, count, group);
            } else {
                finish_channels(pass, channels.begin + first, first, count, group);
            }
        });
    }

private:
    /// The means that the first pass has found.
    static void set_shifts(std::int64_t first, std::int64_t count, const GroupValues& group) {
        for (std::int64_t channel = first; channel < first + count; ++channel) {
            const double mean = group.value(0, channel);
            group.template set_shift<Data>(channel, std::isfinite(mean) ? mean : 0.0);
        }
    }

    void finish_channels(int pass, std::int64_t first, std::int64_t index, std::int64_t count,
                         const GroupValues& group) const {
        ChannelArray mean, variance;
        for (std::int64_t channel = 0; channel < count; ++channel) {
            const Moments batch = moments_of(pass, index + channel, group);
            mean[channel] = batch.mean;
            variance[channel] = batch.squares;
        }
        channel_kernels_.divide(variance.filled(count), count, count_);
        set_results(first, index, count, mean, variance, group);
    }

    /// Writes the statistics and sets the coefficients. `variance` is overwritten.
    void set_results(std::int64_t first, std::int64_t index, std::int64_t count,
                     const ChannelArray& mean, ChannelArray& variance,
                     const GroupValues& group) const {
        const ElementType statistics = arguments_.problem.statistics_type;
        for (std::int64_t channel = 0; channel < count; ++channel) {
            set_channel_value(arguments_.mean, statistics, first + channel, mean[channel]);
            set_channel_value(arguments_.variance, statistics, first + channel, variance[channel]);
        }
        if (applies()) {
            Channels::set(arguments_, Statistics::of_batch, channel_kernels_, first, index, count,
                          mean, variance, group);
        }
    }

    Moments moments_of(int pass, std::int64_t channel, const GroupValues& group) const {
        const Moments batch{group.value(0, channel), group.value(1, channel)};
        return pass == 0 ? batch
                         : moments_of_block(group.template shift<Data>(channel), batch.mean,
                                            batch.squares, count_);
    }

    const MicroKernelTable& table_;
    const MicroKernels& kernels_;
    ChannelKernels channel_kernels_;
    const BatchNormTrainingArguments& arguments_;
    std::int64_t elements_;  ///< of a channel
    double count_;           ///< of those that count
};

}  // namespace

void run_kernel(const MicroKernelTable& table, const BatchNormTrainingArguments& arguments,
                std::int64_t num_threads) {
    const ForwardForm form(arguments);
    const std::array sources{arguments.input, arguments.residual};
    const TensorList tensors{std::span(sources).first(form.source_count()), arguments.normalized};
    Traversals traversals(arguments.problem, tensors);
    if (!arguments.statistics.are_given()) {
        traversals.set_reduce_sources(std::array<std::size_t, 1>{0});
    }
    constexpr std::array<std::size_t, 2> applied{0, 1};
    traversals.set_apply_sources(std::span(applied).first(form.source_count()));
    traversals.set_positions(arguments.positions, false);
    if (form.writes_mask) {
        traversals.set_mask(arguments.mask.address, true, num_threads);
    }
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        if (form.takes_bound()) {
            run(Training<Data, true>(table, arguments, traversals), traversals, num_threads);
        } else {
            run(Training<Data, false>(table, arguments, traversals), traversals, num_threads);
        }
    });
    traversals.finish_mask(num_threads);
}

}  // namespace normgraph::kernel::simd
