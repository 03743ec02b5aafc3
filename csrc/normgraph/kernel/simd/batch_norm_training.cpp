// Memory traffic: the statistics read input once (f64: twice); apply reads it again, from a cache
// where a group of channels fits one, and writes normalized once.

#include <array>
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
    using Arithmetic = arithmetic_t<Data>;
    static constexpr std::size_t coefficient_count = 4;

    Training(const MicroKernels& kernels, const BatchNormTrainingArguments& arguments,
             const Traversal& traversal)
        : kernels_(kernels),
          arguments_(arguments),
          count_(traversal.elements_per_channel()),
          channel_stride_(
              arguments.input.strides[static_cast<std::size_t>(arguments.problem.channel_axis)]) {}

    /// One pass about the first element would cost f64 data a factor n of the variance's last bits.
    static int pass_count() { return std::is_same_v<Data, double> ? 2 : 1; }
    RowsAndColumns<Reduce> reduction() const { return kernels_.moments; }
    bool applies() const {
        return arguments_.normalized.address != nullptr || arguments_.mask.address != nullptr;
    }
    RowsAndColumns<Apply> application() const {
        return arguments_.applies_relu ? kernels_.normalize_relu : kernels_.normalize;
    }

    void begin_group(const ChannelRange& channels, const GroupValues& group) const {
        for (std::int64_t channel = 0; channel < group.channels; ++channel) {
            const std::byte* const first =
                arguments_.input.address + (channels.begin + channel) * channel_stride_;
            group.set_center(channel, usable_shift(static_cast<double>(load<Data>(first))));
        }
    }

    void finish_pass(int pass, const ChannelRange& channels, const GroupValues& group) const {
        for (std::int64_t channel = 0; channel < group.channels; ++channel) {
            const Moments batch = moments_from_sums(group.centers[channel], group.sum(0, channel),
                                                    group.sum(1, channel), count_);
            if (pass + 1 < pass_count()) {
                group.set_center(channel, usable_shift(batch.mean));
            } else {
                finish_channel(channels.begin + channel, channel, batch, group);
            }
        }
    }

private:
    void finish_channel(std::int64_t channel, std::int64_t index, const Moments& batch,
                        const GroupValues& group) const {
        const ElementType type = arguments_.problem.channel_type;
        set_channel_value(arguments_.mean, type, channel, batch.mean);
        set_channel_value(arguments_.variance, type, channel, batch.variance);
        if (applies()) {
            group.set_coefficients<Arithmetic>(
                index, ForwardCoefficients<Arithmetic>(
                           channel_value(arguments_.gamma, type, channel, 1.0),
                           channel_value(arguments_.beta, type, channel, 0.0), batch.mean,
                           batch.variance, arguments_.problem.epsilon));
        }
    }

    const MicroKernels& kernels_;
    const BatchNormTrainingArguments& arguments_;
    std::int64_t count_;
    std::int64_t channel_stride_;
};

}  // namespace

void run_kernel(const MicroKernelTable& table, const BatchNormTrainingArguments& arguments,
                std::int64_t num_threads) {
    const std::array sources{arguments.input};
    Traversal traversal(arguments.problem, {sources, arguments.normalized});
    traversal.set_reduce_sources(std::array<std::size_t, 1>{0});
    traversal.set_apply_sources(std::array<std::size_t, 1>{0});
    if (arguments.applies_relu) {
        traversal.set_mask(arguments.mask.address, arguments.problem, true);
    }
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        run(Training<Data>(table[arguments.problem.data_type], arguments, traversal), traversal,
            num_threads);
    });
}

}  // namespace normgraph::kernel::simd
