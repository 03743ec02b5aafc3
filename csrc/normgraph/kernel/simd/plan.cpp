#include "normgraph/kernel/simd/plan.hpp"

#include <algorithm>
#include <bit>

#include "normgraph/kernel/threads/share_range.hpp"

namespace normgraph::kernel::simd {
namespace {

/// What is reduced stays in a second-level cache until it is applied.
constexpr std::int64_t cached_bytes = std::int64_t{512} * 1024;

/// Channels whose rows lie side by side are taken together until they make a run of this length,
/// even if they leave the second-level cache: memory is read at its full speed only along runs of
/// many pages. (Short rows cost more computation than their memory does, from that cache at least.)
constexpr std::int64_t shortest_run = std::int64_t{128} * 1024;

/// Rows of this length are taken alone: then more of what is reduced is still in a cache when it is
/// applied. (Measured on Zen 4, 112x112: f32 6 to 16 %, bf16 15 to 20 % faster.) The one source of
/// the forward pass is read fast enough in runs of this length, if it is not 16-bit data, whose
/// sums take longer.
constexpr std::int64_t long_row = std::int64_t{24} * 1024;

/// The sums of so many channels fit the first-level cache, those of more do not.
constexpr std::int64_t most_columns = 1024;

/// Rows of more channels are divided into stripes, whose sums leave room for what is read: so many
/// channels, and of each row so many bytes of all sources together, or as near as it gets.
constexpr std::int64_t shortest_stripe = 256;
constexpr std::int64_t longest_stripe = 512;
constexpr std::int64_t bytes_of_stripe = std::int64_t{2} * 1024;

/// The lanes of so many channels take half of the first-level cache.
constexpr std::int64_t most_channels_per_group = 64;

/// The least work that is worth a thread: waking one takes some 20 µs.
constexpr std::int64_t elements_per_thread = std::int64_t{32} * 1024;

/// Of the forward pass of f32 along columns, which is the fastest: in that time one thread reads
/// from its own cache what another would have to fetch from there. (Measured on Zen 4, 128 rows of
/// 1024: 51 µs with one thread, 60 to 86 with two; 2048 rows of 256: 141 and 110.)
constexpr std::int64_t elements_per_thread_of_f32_moments = std::int64_t{192} * 1024;

/// Threads that share the columns of rows get so many bytes of each, if there are as many.
constexpr std::int64_t shortest_shared_row = 512;

/// Channels whose rows make a run that is long enough.
std::int64_t channels_of_run(const Traversal& traversal) {
    const bool reads_one_source =
        traversal.reduced_source_count() == 1 && traversal.element_size() > 2;
    const bool has_long_rows = traversal.bytes_per_row() >= long_row;
    return (reads_one_source || has_long_rows ? long_row : shortest_run) /
           traversal.bytes_per_row();
}

/// Along rows.
std::int64_t channels_that_fit_the_cache(const Traversal& traversal) {
    const std::int64_t channels = traversal.channels();
    const std::int64_t most_kept = traversal.most_channels_to_copy();
    const bool all_fit = 2 * traversal.tensor_bytes() <= cached_bytes;
    if (all_fit && most_kept == 0 && !traversal.copies_across()) {
        return std::min(channels, most_channels_per_group);
    }
    const std::int64_t bytes_per_channel = 2 * traversal.tensor_bytes() / channels;
    std::int64_t group = cached_bytes / std::max<std::int64_t>(1, bytes_per_channel);
    group = traversal.has_short_rows() ? traversal.in_whole_lines(group)
                                       : std::max(group, channels_of_run(traversal));
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
        plan.channels_per_group = round_up(divide_up(plan.channels, tasks), bits_per_byte);
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

std::int64_t channels_of_stripe(const Traversal& traversal) {
    const std::int64_t sources = traversal.reduced_source_count();
    if (sources == 0) {
        return traversal.channels();
    }
    const std::int64_t bytes = sources * static_cast<std::int64_t>(traversal.element_size());
    // In a second-level cache rows need not be read in sequence.
    const bool is_small = sources * traversal.tensor_bytes() <= cached_bytes;
    const std::int64_t stripe =
        std::clamp(bytes_of_stripe / bytes, shortest_stripe, longest_stripe);
    const bool is_one_stripe = traversal.channels() <= (is_small ? stripe : most_columns);
    return is_one_stripe ? traversal.channels() : stripe;
}

void divide_columns(const Traversal& traversal, Plan& plan) {
    const std::int64_t channels = traversal.channels();
    plan.channels_per_group = channels_of_stripe(traversal);
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
    const std::int64_t shortest =
        std::min(shortest_shared_row / static_cast<std::int64_t>(traversal.element_size()),
                 divide_up(channels, plan.threads));
    // Channel blocks of whole steps.
    const std::int64_t stripe =
        round_up(std::max(divide_up(channels, tasks), shortest), lanes_per_step);
    plan.channels_per_group = std::min(plan.channels_per_group, stripe);
}

std::int64_t most_useful_threads(const Traversal& traversal) {
    const std::int64_t elements = traversal.channels() * traversal.elements_per_channel();
    const bool are_f32_moments = traversal.layout_class() == LayoutClass::channels_last &&
                                 traversal.reduced_source_count() == 1 &&
                                 traversal.element_size() == sizeof(float);
    return 1 +
           elements / (are_f32_moments ? elements_per_thread_of_f32_moments : elements_per_thread);
}

}  // namespace

Plan make_plan(const Traversal& traversal, std::int64_t num_threads) {
    Plan plan;
    plan.channels = traversal.channels();
    plan.blocks = traversal.block_count();
    plan.blocks_per_part = std::max<std::int64_t>(1, plan.blocks);
    plan.threads = std::min(num_threads, most_useful_threads(traversal));
    if (traversal.layout_class() == LayoutClass::channels_first) {
        divide_rows(traversal, plan);
    } else {
        divide_columns(traversal, plan);
    }
    return plan;
}

}  // namespace normgraph::kernel::simd
