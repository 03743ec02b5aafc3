// Memory traffic: reads input and normalized_delta once. One channel at a time.

#include <cstdint>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/reference/block_deltas.hpp"
#include "normgraph/kernel/reference/leaves.hpp"

namespace normgraph::kernel::reference {

void run_kernel(const BatchNormBackpropSumsArguments& arguments, ChannelRange range) {
    const Problem& problem = arguments.problem;
    const View view =
        make_view(problem, {arguments.input.strides, arguments.normalized_delta.strides, {}});
    with_data_type(problem.data_type, [&]<typename Data>() {
        for (std::int64_t channel = range.begin; channel < range.end; ++channel) {
            const double mean =
                channel_value(arguments.mean, problem.statistics_type, channel, 0.0);
            LeafWriter leaves(arguments.leaves, view, channel);
            for_each_leaf<Sums>(
                view.order,
                BlockDeltas<Data>(
                    view, arguments.input.address + channel * view.channel_strides[0],
                    arguments.normalized_delta.address + channel * view.channel_strides[1],
                    GradientReader<Data>(problem, channel, arguments.mask), mean,
                    arguments.positions),
                [&](const Sums& leaf) { leaves.write(leaf); });
        }
    });
}

}  // namespace normgraph::kernel::reference
