#include "normgraph/kernel/simd/plan.hpp"

#include <bit>

namespace normgraph::kernel::simd {
namespace {

/// What is reduced stays in a second-level cache until it is applied.
constexpr std::int64_t cached_bytes = std::int64_t{512} * 1024;

/// Channels whose rows lie side by side are taken together until they make a run of this length,
/// even if they leave the second-level cache: memory is read at its full speed only along runs of
/// many pages. (Short rows cost more computation than their memory does, from that cache at least.)
constexpr std::int64_t shortest_run = std::int64_t{128} * 1024;

/// The sums of so many channels fit the first-level cache, those of more do not.
constexpr std::int64_t most_columns = 1024;
constexpr std::int64_t columns_of_stripe = 256;

/// The lanes of so many channels take half of the first-level cache.
constexpr std::int64_t most_channels_per_group = 64;

/// The least work that is worth a thread: waking one takes some 20 µs.
constexpr std::int64_t elements_per_thread = std::int64_t{32} * 1024;

/// More tasks than threads, so that one that is late leaves its work to the others.
constexpr std::int64_t tasks_per_thread = 4;

/// Along rows.
std::int64_t channels_that_fit_the_cache(const Traversal& traversal) {
    const std::int64_t channels = traversal.channels();
    const std::int64_t bytes_per_channel = 2 * traversal.tensor_bytes() / channels;
    std::int64_t group = cached_bytes / std::max<std::int64_t>(1, bytes_per_channel);
    group = traversal.has_short_rows() ? traversal.in_whole_lines(group)
                                       : std::max(group, shortest_run / traversal.bytes_per_row());
    const std::int64_t most_kept = traversal.most_channels_to_copy();
    if (most_kept > 0) {
        group = std::min(group, most_kept);
    }
    if (traversal.copies_across()) {
        // Whole lines of channels if their copies can be kept; else memory is read twice, so in
        // longer runs.
        const std::int64_t line =
            Traversal::cache_line / static_cast<std::int64_t>(traversal.element_size());
        group = most_kept >= std::min(line, channels) ? std::max(group, line)
                                                      : Traversal::channels_across;
    }
    return std::clamp<std::int64_t>(group, 1, std::min(channels, most_channels_per_group));
}

void divide_rows(const Traversal& traversal, Plan& plan) {
    plan.channels_per_group = channels_that_fit_the_cache(traversal);
    if (plan.threads == 1) {
        return;
    }
    const std::int64_t tasks = plan.threads * tasks_per_thread;
    if (traversal.shares_mask_bytes()) {
        plan.channels_per_group = divide_up(divide_up(plan.channels, tasks), 8) * 8;
        return;
    }
    if (plan.channels >= tasks) {
        plan.channels_per_group = std::min(plan.channels_per_group, plan.channels / tasks);
        return;
    }
    const std::int64_t parts = divide_up(tasks, plan.group_count());
    plan.blocks_per_part = static_cast<std::int64_t>(
        std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(1, plan.blocks / parts))));
}

void divide_columns(const Traversal& traversal, Plan& plan) {
    const std::int64_t channels = traversal.channels();
    plan.channels_per_group = channels <= most_columns ? channels : columns_of_stripe;
    if (plan.threads == 1) {
        return;
    }
    const std::int64_t tasks = plan.threads * tasks_per_thread;
    const std::int64_t parts = divide_up(tasks, plan.group_count());
    if (plan.blocks >= parts && !traversal.shares_mask_bytes()) {
        plan.blocks_per_part = static_cast<std::int64_t>(
            std::bit_floor(static_cast<std::uint64_t>(plan.blocks / parts)));
        return;
    }
    // Stripes of whole chunks.
    const std::int64_t stripe = divide_up(divide_up(channels, tasks), chunk) * chunk;
    plan.channels_per_group = std::min(plan.channels_per_group, stripe);
}

}  // namespace

Plan make_plan(const Traversal& traversal, std::int64_t num_threads) {
    Plan plan;
    plan.channels = traversal.channels();
    plan.blocks = traversal.block_count();
    plan.blocks_per_part = std::max<std::int64_t>(1, plan.blocks);
    const std::int64_t elements = plan.channels * traversal.elements_per_channel();
    plan.threads = std::min(num_threads, 1 + elements / elements_per_thread);
    if (traversal.layout_class() == LayoutClass::channels_first) {
        divide_rows(traversal, plan);
    } else {
        divide_columns(traversal, plan);
    }
    return plan;
}

}  // namespace normgraph::kernel::simd
