#pragma once

#include <algorithm>
#include <cstdint>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/relu_mask.hpp"
#include "normgraph/kernel/threads/parallel_for.hpp"

/// The reference kernels on several threads.
namespace normgraph::kernel::reference {

/// The least work that is worth a thread: waking one takes some 20 µs, in which a scalar kernel
/// does about as many elements.
inline constexpr std::int64_t elements_per_thread = 16384;

/// More tasks than threads, so that one that is late leaves its work to the others.
inline constexpr std::int64_t tasks_per_thread = 4;

/// The type of the arguments of a kernel that takes a range of channels.
template <typename Kernel>
struct ArgumentsOf;
template <typename Arguments>
struct ArgumentsOf<void (*)(const Arguments&, ChannelRange)> {
    using type = Arguments;
};

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

/// Runs the kernel on all channels, in ranges of nearly equal size.
template <auto kernel>
void share_channels(const typename ArgumentsOf<decltype(kernel)>::type& arguments,
                    std::int64_t num_threads) {
    const std::int64_t channels = all_channels(arguments.problem).end;
    const std::int64_t group = channels_that_share_bytes(arguments);
    const std::int64_t groups = (channels + group - 1) / group;
    const std::int64_t threads =
        std::min(num_threads, 1 + product(arguments.problem.shape) / elements_per_thread);
    const std::int64_t tasks = threads <= 1 ? 1 : std::min(groups, threads * tasks_per_thread);
    parallel_for(tasks, threads, [&](std::int64_t task) {
        // Not groups * task / tasks, which may overflow.
        const std::int64_t size = groups / tasks;
        const std::int64_t larger = groups % tasks;
        const std::int64_t begin = task * size + std::min(task, larger);
        const std::int64_t end = begin + size + (task < larger ? 1 : 0);
        kernel(arguments, {begin * group, std::min(end * group, channels)});
    });
}

}  // namespace normgraph::kernel::reference
