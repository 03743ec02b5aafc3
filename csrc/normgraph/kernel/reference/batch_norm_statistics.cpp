// Memory traffic: reads input once. One channel at a time.

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/reference/block_moments.hpp"
#include "normgraph/kernel/reference/leaves.hpp"

namespace normgraph::kernel::reference {

void run_kernel(const BatchNormStatisticsArguments& arguments, ChannelRange range) {
    const View view = make_view(arguments.problem, {arguments.input.strides, {}, {}});
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        for (std::int64_t channel = range.begin; channel < range.end; ++channel) {
            const std::byte* const input =
                arguments.input.address + channel * view.channel_strides[0];
            LeafWriter leaves(arguments.leaves, view, channel);
            if (arguments.center != nullptr) {
                for_each_leaf<Sums>(
                    view.order,
                    BlockSums<Data>(view, input, arguments.center[channel], arguments.positions),
                    [&](const Sums& leaf) { leaves.write(leaf); });
            } else {
                for_each_leaf<MomentsNode>(
                    view.order, BlockMoments<Data>(view, input, arguments.positions),
                    [&](const MomentsNode& leaf) {
                        leaves.write({leaf.moments.mean, leaf.moments.squares});
                    });
            }
        }
    });
}

}  // namespace normgraph::kernel::reference
