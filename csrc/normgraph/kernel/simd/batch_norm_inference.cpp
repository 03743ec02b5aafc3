// Memory traffic: reads input and residual once, and writes normalized once.

#include <array>
#include <span>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/simd/phases/forward.hpp"
#include "normgraph/kernel/simd/phases/run.hpp"

namespace normgraph::kernel::simd {
namespace {

template <typename Data, bool takes_bound>
class Inference {
public:
    using Element = Data;
    using Arithmetic = arithmetic_t<Data>;
    using Channels = ForwardChannels<Data, takes_bound>;
    static constexpr std::size_t coefficient_count = Channels::coefficient_count;

    Inference(const MicroKernelTable& table, const BatchNormInferenceArguments& arguments)
        : kernels_(table[arguments.problem.data_type]),
          channel_kernels_(table.channels),
          arguments_(arguments) {}

    static int pass_count() { return 0; }
    static Reduction reduction(int /*pass*/) { return {}; }
    static bool applies() { return true; }
    RowsAndColumns<Apply> application(const GroupValues& /*group*/) const {
        return ForwardForm(arguments_).kernel(kernels_);
    }

    void begin_group(const ChannelRange& channels, const GroupValues& group) const {
        for_channel_arrays(group.channels, [&](std::int64_t first, std::int64_t count) {
            begin_channels(channels.begin + first, first, count, group);
        });
    }
    void finish_pass(int /*pass*/, const ChannelRange& /*channels*/,
                     const GroupValues& /*group*/) const {}

private:
    void begin_channels(std::int64_t first, std::int64_t index, std::int64_t count,
                        const GroupValues& group) const {
        const ElementType statistics = arguments_.problem.statistics_type;
        ChannelArray mean, variance;
        for (std::int64_t channel = 0; channel < count; ++channel) {
            mean[channel] = channel_value(arguments_.mean, statistics, first + channel, 0.0);
            variance[channel] =
                channel_value(arguments_.variance, statistics, first + channel, 0.0);
        }
        Channels::set(arguments_, Statistics::given, channel_kernels_, first, index, count, mean,
                      variance, group);
    }

    const MicroKernels& kernels_;
    ChannelKernels channel_kernels_;
    const BatchNormInferenceArguments& arguments_;
};

}  // namespace

void run_kernel(const MicroKernelTable& table, const BatchNormInferenceArguments& arguments,
                std::int64_t num_threads) {
    const ForwardForm form(arguments);
    const std::array sources{arguments.input, arguments.residual};
    const TensorList tensors{std::span(sources).first(form.source_count()), arguments.normalized};
    Traversals traversals(arguments.problem, tensors);
    constexpr std::array<std::size_t, 2> applied{0, 1};
    traversals.set_apply_sources(std::span(applied).first(form.source_count()));
    if (traversals.apply().elements_per_channel() == 0) {
        return;
    }
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        if (form.takes_bound()) {
            run(Inference<Data, true>(table, arguments), traversals, num_threads);
        } else {
            run(Inference<Data, false>(table, arguments), traversals, num_threads);
        }
    });
}

}  // namespace normgraph::kernel::simd
