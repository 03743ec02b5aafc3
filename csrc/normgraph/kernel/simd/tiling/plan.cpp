#include "normgraph/kernel/simd/tiling/plan.hpp"

#include <bit>

#include "normgraph/kernel/threads/share_range.hpp"

namespace normgraph::kernel::simd {
namespace {

/// The channels whose rows make a run that is long enough.
std::int64_t channels_of_run(const Geometry& geometry, const Workload& workload) {
    const bool reads_one_source = workload.reduced_sources == 1 && geometry.element_size() > 2;
    const bool has_long_rows = geometry.bytes_per_row() >= long_row;
    return (reads_one_source || has_long_rows ? long_row : shortest_run) / geometry.bytes_per_row();
}

/// The channels of a group along rows.
std::int64_t channels_that_fit_the_cache(const Geometry& geometry, const Workload& workload) {
    const std::int64_t most = std::min(geometry.channels, geometry.tuning.most_channels_per_group);
    const std::int64_t most_copied = workload.most_copied_channels;
    const bool all_fit = 2 * geometry.tensor_bytes() <= geometry.tuning.reused_bytes;
    // What is not reduced need not stay in a cache.
    if (workload.applies_in_order) {
        return geometry.channels;
    }
    if (all_fit && most_copied == 0 && !workload.copies_across) {
        return most;
    }
    if (workload.copies_across) {
        // Whole lines of channels if their copies can be kept; else memory is read twice, so in
        // longer runs.
        const std::int64_t line = cache_line / geometry.element_size();
        if (most_copied < std::min(line, geometry.channels)) {
            return std::clamp<std::int64_t>(channels_across, 1, most);
        }
    }
    const std::int64_t bytes_per_channel =
        std::max<std::int64_t>(1, 2 * geometry.bytes_per_channel());
    std::int64_t group = geometry.tuning.reused_bytes / bytes_per_channel;
    group = geometry.has_short_rows() ? geometry.rows_in_whole_lines(group)
                                      : std::max(group, channels_of_run(geometry, workload));
    if (most_copied > 0) {
        group = std::min(group, most_copied);
    }
    if (workload.copies_across) {
        group = std::max(group, cache_line / geometry.element_size());
    }
    return std::clamp<std::int64_t>(group, 1, most);
}

std::int64_t largest_power_of_two(std::int64_t limit) {
    return static_cast<std::int64_t>(
        std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(1, limit))));
}

/// The most blocks that make at least so many parts: whole leaves if these are enough.
std::int64_t blocks_per_part(const Plan& plan, std::int64_t parts) {
    const std::int64_t leaves = plan.blocks / plan.blocks_per_leaf;
    if (leaves >= parts || plan.blocks_per_leaf == 1) {
        return plan.blocks_per_leaf * largest_power_of_two(leaves / parts);
    }
    return largest_power_of_two(plan.blocks_per_leaf / divide_up(parts, leaves));
}

/// Sizes of parts are powers of two, of blocks up to a leaf, then of leaves.
std::int64_t larger_part(const Plan& plan, std::int64_t blocks) {
    return blocks >= plan.blocks_per_leaf ? 2 * blocks : std::min(2 * blocks, plan.blocks_per_leaf);
}
std::int64_t smaller_part(const Plan& plan, std::int64_t blocks) {
    return blocks > plan.blocks_per_leaf ? blocks / 2 : largest_power_of_two(blocks - 1);
}

/// Whether such a part has whole rows, or elements of one, and ends where steps do.
bool is_box(const SummationOrder& order, const Plan& plan, std::int64_t blocks_per_step,
            std::int64_t blocks) {
    const std::int64_t along = order.blocks_along_leaf;
    const bool ends_with_steps =
        blocks_per_step == plan.blocks_per_leaf || blocks_per_step % blocks == 0;
    return (plan.steps == 1 || ends_with_steps) &&
           (order.row_count == 1 || blocks % along == 0 || along % blocks == 0);
}

/// Slabs of whole cache lines; while they fit the L2 cache, of more steps, then of more blocks,
/// then of more channels.
void divide_into_slabs(const Geometry& geometry, const Workload& workload, Plan& plan) {
    const SlabDemands& demands = workload.slabs;
    const std::int64_t most_blocks = workload.keeps_leaves ? plan.blocks_per_leaf : plan.blocks;
    const std::int64_t block_bytes = geometry.bytes_per_block() * demands.sources;
    const std::int64_t blocks_per_step = demands.steps > 1 ? demands.blocks_per_step : plan.blocks;
    plan.channels_per_group = std::min(demands.channels, plan.channels);
    plan.steps = demands.axis_length;
    plan.steps_per_slab = demands.steps;
    plan.blocks_per_part = 1;
    const auto blocks = [&] {
        return plan.channels_per_group * plan.steps_per_slab * plan.blocks_per_part;
    };
    const auto fits = [&](std::int64_t bytes) { return 2 * blocks() * block_bytes <= bytes; };
    const auto may_double = [&] { return fits(geometry.tuning.reused_bytes); };
    // Incomplete lines would be read again and again.
    while (plan.blocks_per_part < std::min(demands.blocks, most_blocks) &&
           fits(geometry.tuning.most_slab_bytes)) {
        plan.blocks_per_part = larger_part(plan, plan.blocks_per_part);
    }
    while (may_double() && plan.steps_per_slab < plan.steps) {
        plan.steps_per_slab = std::min(2 * plan.steps_per_slab, plan.steps);
    }
    const auto is_box_of = [&](std::int64_t count) {
        return is_box(geometry.order, plan, blocks_per_step, count);
    };
    for (std::int64_t larger = larger_part(plan, plan.blocks_per_part);
         may_double() && plan.blocks_per_part < std::min(blocks_per_step, most_blocks) &&
         is_box_of(larger);
         larger = larger_part(plan, larger)) {
        plan.blocks_per_part = larger;
    }
    while (may_double() && plan.channels_per_group < plan.channels) {
        plan.channels_per_group = std::min(2 * plan.channels_per_group, plan.channels);
    }
    const auto too_few = [&] {
        return plan.threads > 1 &&
               plan.group_count() * plan.slab_count() < plan.threads * tasks_per_thread;
    };
    plan.parts_per_step = divide_up(blocks_per_step, plan.blocks_per_part);
    while (too_few() && plan.channels_per_group > demands.channels) {
        plan.channels_per_group = round_up(divide_up(plan.channels_per_group, 2), demands.channels);
    }
    while (too_few() && plan.blocks_per_part > 1) {
        do {
            plan.blocks_per_part = smaller_part(plan, plan.blocks_per_part);
        } while (!is_box_of(plan.blocks_per_part));
        plan.parts_per_step = divide_up(blocks_per_step, plan.blocks_per_part);
    }
}

void divide_rows(const Geometry& geometry, const Workload& workload, Plan& plan) {
    if (workload.slabs.sources > 0) {
        return divide_into_slabs(geometry, workload, plan);
    }
    const std::int64_t unit = workload.packs_channels ? bits_per_byte : 1;
    const auto whole_bytes = [&](std::int64_t channels) { return round_up(channels, unit); };
    plan.channels_per_group = whole_bytes(channels_that_fit_the_cache(geometry, workload));
    if (plan.threads == 1) {
        return;
    }
    const std::int64_t tasks = plan.threads * tasks_per_thread;
    if (plan.channels >= unit * tasks) {
        plan.channels_per_group =
            std::min(plan.channels_per_group, whole_bytes(plan.channels / tasks));
    } else if (workload.shares_mask_bytes) {
        const std::int64_t share = whole_bytes(divide_up(plan.channels, plan.threads));
        plan.channels_per_group = std::min(plan.channels_per_group, share);
    } else {
        plan.blocks_per_part = blocks_per_part(plan, divide_up(tasks, plan.group_count()));
    }
}

std::int64_t channels_of_block(const Geometry& geometry, const Workload& workload) {
    const std::int64_t sources = workload.reduced_sources;
    if (sources == 0) {
        return geometry.channels;
    }
    // In the L2 cache rows need not be read in sequence.
    const bool is_small = sources * geometry.tensor_bytes() <= geometry.tuning.reused_bytes;
    const std::int64_t block =
        std::clamp(bytes_of_channel_block / (sources * geometry.element_size()),
                   smallest_channel_block, largest_channel_block);
    const bool is_one_block =
        geometry.channels <= (is_small ? block : geometry.tuning.most_columns);
    return is_one_block ? geometry.channels : block;
}

void divide_columns(const Geometry& geometry, const Workload& workload, Plan& plan) {
    plan.channels_per_group = channels_of_block(geometry, workload);
    if (plan.threads == 1) {
        return;
    }
    const std::int64_t tasks = plan.threads * tasks_per_thread;
    const std::int64_t parts = divide_up(tasks, plan.group_count());
    if (plan.blocks >= parts && !workload.shares_mask_bytes) {
        plan.blocks_per_part = blocks_per_part(plan, parts);
        return;
    }
    const std::int64_t shortest = std::min(shortest_shared_row / geometry.element_size(),
                                           divide_up(plan.channels, plan.threads));
    // Channel blocks of whole steps.
    const std::int64_t block =
        round_up(std::max(divide_up(plan.channels, tasks), shortest), most_lanes);
    plan.channels_per_group = std::min(plan.channels_per_group, block);
}

std::int64_t least_elements_per_thread(const Geometry& geometry, const Workload& workload) {
    const bool are_f32_moments = !geometry.is_along_rows() && workload.reduced_sources == 1 &&
                                 geometry.element_size() == sizeof(float);
    return are_f32_moments ? elements_per_thread_of_f32_moments : elements_per_thread;
}

}  // namespace

Plan make_plan(const Geometry& geometry, const Workload& workload, std::int64_t num_threads) {
    Plan plan;
    plan.channels = geometry.channels;
    plan.blocks = geometry.order.block_count();
    plan.blocks_per_leaf = std::max<std::int64_t>(1, geometry.order.blocks_per_leaf);
    plan.blocks_per_part = std::max<std::int64_t>(1, plan.blocks);
    plan.threads = useful_threads(geometry.channels * geometry.elements_per_channel(),
                                  least_elements_per_thread(geometry, workload), num_threads);
    if (geometry.is_along_rows()) {
        divide_rows(geometry, workload, plan);
    } else {
        divide_columns(geometry, workload, plan);
    }
    if (workload.keeps_leaves) {
        plan.blocks_per_part = std::min(plan.blocks_per_part, plan.blocks_per_leaf);
    }
    if (plan.steps == 1) {
        plan.parts_per_step = plan.part_count();
    }
    return plan;
}

}  // namespace normgraph::kernel::simd
