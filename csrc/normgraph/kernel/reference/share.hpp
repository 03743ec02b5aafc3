#pragma once

#include <algorithm>
#include <cstdint>

#include "normgraph/indices/counts.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/relu_mask.hpp"
#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/kernel/threads/share_range.hpp"
#include "normgraph/kernel/tuning.hpp"

/// The reference kernels on several threads.
namespace normgraph::kernel::reference {

/// How many neighbouring channels may share bytes of an output: one thread takes all of them.
template <typename Arguments>
std::int64_t channels_that_share_bytes(const Arguments& /*arguments*/) {
    return 1;
}
inline std::int64_t channels_that_share_bytes(const BatchNormTrainingArguments& arguments) {
    return arguments.mask.address == nullptr
               ? 1
               : ReluMaskLayout(arguments.problem).channels_per_byte();
}

/// Calls `function(begin, end)` for parts of 0 … count − 1, on several threads where the work, in
/// elements, is worth them.
template <typename Function>
void share_elements(std::int64_t count, std::int64_t work, std::int64_t num_threads,
                    const Function& function) {
    share_range(count, useful_threads(work, scalar_elements_per_thread, num_threads), function);
}

/// Runs the kernel of these arguments on all channels, in ranges of nearly equal size.
template <typename Arguments>
void share_channels(const Arguments& arguments, std::int64_t num_threads) {
    const std::int64_t channels = all_channels(arguments.problem).end;
    const std::int64_t group = channels_that_share_bytes(arguments);
    share_range(
        divide_up(channels, group),
        useful_threads(product(arguments.problem.shape), scalar_elements_per_thread, num_threads),
        [&](std::int64_t begin, std::int64_t end) {
            run_kernel(arguments, ChannelRange{begin * group, std::min(end * group, channels)});
        });
}

}  // namespace normgraph::kernel::reference
