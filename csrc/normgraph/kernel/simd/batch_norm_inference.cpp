// Memory traffic: reads input once and writes normalized once.

#include <array>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/coefficients.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/simd/phases/run.hpp"

namespace normgraph::kernel::simd {
namespace {

template <typename Data>
class Inference {
public:
    using Element = Data;
    using Arithmetic = arithmetic_t<Data>;
    static constexpr std::size_t coefficient_count = 3;

    Inference(const MicroKernelTable& table, const BatchNormInferenceArguments& arguments)
        : kernels_(table[arguments.problem.data_type]),
          channel_kernels_(table.channels),
          arguments_(arguments) {}

    static int pass_count() { return 0; }
    static Reduction reduction(int /*pass*/) { return {}; }
    static bool applies() { return true; }
    RowsAndColumns<Apply> application(const GroupValues& /*group*/) const {
        return kernels_.normalize;
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
        const ElementType affine = arguments_.problem.affine_type;
        const ElementType statistics = arguments_.problem.statistics_type;
        ChannelArray inverse;
        for (std::int64_t channel = 0; channel < count; ++channel) {
            inverse[channel] = channel_value(arguments_.variance, statistics, first + channel, 0.0);
        }
        channel_kernels_.inverse_deviations(inverse.filled(count), count,
                                            arguments_.problem.epsilon);
        for (std::int64_t channel = 0; channel < count; ++channel) {
            group.set_coefficients<Arithmetic>(
                index + channel,
                ForwardCoefficients<Arithmetic>(
                    channel_value(arguments_.gamma, affine, first + channel, 1.0),
                    channel_value(arguments_.beta, affine, first + channel, 0.0),
                    channel_value(arguments_.mean, statistics, first + channel, 0.0),
                    inverse[channel]));
        }
    }

    const MicroKernels& kernels_;
    ChannelKernels channel_kernels_;
    const BatchNormInferenceArguments& arguments_;
};

}  // namespace

void run_kernel(const MicroKernelTable& table, const BatchNormInferenceArguments& arguments,
                std::int64_t num_threads) {
    const std::array sources{arguments.input};
    const TensorList tensors{sources, arguments.normalized};
    Traversals traversals(arguments.problem, tensors);
    traversals.set_apply_sources(std::array<std::size_t, 1>{0});
    if (traversals.apply().elements_per_channel() == 0) {
        return;
    }
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        run(Inference<Data>(table, arguments), traversals, num_threads);
    });
}

}  // namespace normgraph::kernel::simd
