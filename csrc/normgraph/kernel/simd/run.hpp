#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "normgraph/kernel/simd/plan.hpp"
#include "normgraph/kernel/simd/scratch.hpp"
#include "normgraph/kernel/simd/traversal.hpp"
#include "normgraph/kernel/threads/parallel_for.hpp"

/// The phases of an op — reduce, combine, apply — run by a plan.
///
/// An op is a class with
/// - Arithmetic: float or double; coefficient_count: per channel;
/// - int pass_count() const: reductions, each about the centers that the last one has found;
/// - RowsAndColumns<Reduce> reduction() const;
/// - void begin_group(ChannelRange, const GroupValues&) const: sets centers for the first pass, or
///   coefficients if there is none;
/// - void finish_pass(int pass, ChannelRange, const GroupValues&) const, with the sums of all
///   blocks: sets centers, or writes results and coefficients;
/// - bool applies() const, RowsAndColumns<Apply> application() const: of sources that were reduced
///   before, if any were.
namespace normgraph::kernel::simd {

/// The values of a group of channels.
struct GroupValues {
    std::int64_t stride;  ///< from one sum, or coefficient, to the next
    std::int64_t channels;
    std::int64_t columns_per_channel;
    double* centers;          ///< [column]
    double* sums;             ///< [2][stride], of channels
    std::byte* coefficients;  ///< [coefficient][stride], of columns

    void set_center(std::int64_t channel, double center) const {
        for (std::int64_t column = 0; column < columns_per_channel; ++column) {
            centers[column * channels + channel] = center;
        }
    }
    double sum(std::int64_t which, std::int64_t channel) const {
        return sums[which * stride + channel];
    }
    /// `formula`: a struct of Arithmetic values. Any NaN among them becomes the usual one: vector
    /// code rounds to bf16 without looking for NaNs, which adds at most 0x8000 to their bits. That
    /// keeps the usual NaN one, and those that come from bf16 data, whose lower half is 0.
    template <typename Arithmetic, typename Formula>
    void set_coefficients(std::int64_t channel, const Formula& formula) const {
        static_assert(std::is_trivially_copyable_v<Formula>);
        constexpr std::size_t count = sizeof(Formula) / sizeof(Arithmetic);
        std::array<Arithmetic, count> values;
        std::memcpy(values.data(), &formula, sizeof(Formula));
        for (Arithmetic& value : values) {
            value = std::isnan(value) ? std::numeric_limits<Arithmetic>::quiet_NaN() : value;
        }
        auto* const all = reinterpret_cast<Arithmetic*>(coefficients);
        for (std::int64_t column = 0; column < columns_per_channel; ++column) {
            for (std::size_t index = 0; index < count; ++index) {
                all[static_cast<std::int64_t>(index) * stride + column * channels + channel] =
                    values[index];
            }
        }
    }
};

template <typename Op>
std::size_t group_bytes(const Traversal& traversal, std::int64_t channels) {
    const auto values = static_cast<std::size_t>(traversal.values_per_group(channels));
    return Scratch::rounded(3 * values * sizeof(double)) +
           Scratch::rounded(Op::coefficient_count * values * sizeof(typename Op::Arithmetic)) +
           2 * Scratch::line;
}

template <typename Op>
GroupValues take_group(const Traversal& traversal, std::int64_t channels, Scratch& scratch) {
    const std::int64_t stride = traversal.values_per_group(channels);
    auto* const centers = scratch.take<double>(stride);
    auto* const sums = scratch.take<double>(2 * stride);
    auto* const coefficients = scratch.take<typename Op::Arithmetic>(
        static_cast<std::int64_t>(Op::coefficient_count) * stride);
    return {stride,  channels, traversal.columns_per_channel(),
            centers, sums,     reinterpret_cast<std::byte*>(coefficients)};
}

/// From one kind of joined coefficients to the next: whole vectors can be read from any column on.
inline std::int64_t joined_stride(const Traversal& traversal, std::int64_t channels) {
    return round_up(traversal.joined_columns(channels), lanes_per_step) + lanes_per_step;
}

template <typename Op>
std::int64_t joined_count(const Traversal& traversal, std::int64_t channels) {
    return static_cast<std::int64_t>(Op::coefficient_count) * joined_stride(traversal, channels);
}

/// The coefficients of each channel, once for every element of its rows.
template <typename Op>
const typename Op::Arithmetic* join_coefficients(const Traversal& traversal,
                                                 const GroupValues& group, Scratch& scratch) {
    using Arithmetic = typename Op::Arithmetic;
    const std::int64_t stride = joined_stride(traversal, group.channels);
    const std::int64_t length = traversal.joined_columns(1);
    auto* const joined = scratch.take<Arithmetic>(joined_count<Op>(traversal, group.channels));
    const auto* const values = reinterpret_cast<const Arithmetic*>(group.coefficients);
    for (std::size_t index = 0; index < Op::coefficient_count; ++index) {
        const auto kind = static_cast<std::int64_t>(index);
        for (std::int64_t channel = 0; channel < group.channels; ++channel) {
            std::fill_n(joined + kind * stride + channel * length, length,
                        values[kind * group.stride + channel]);
        }
    }
    return joined;
}

template <typename Op>
void apply_group(const Op& op, const Traversal& traversal, const ChannelRange& channels,
                 const BlockRange& blocks, const GroupValues& values,
                 const Traversal::GroupCopies& copies, Scratch& scratch) {
    if (!traversal.joins_rows()) {
        traversal.apply(op.application(), channels, blocks, values.coefficients, copies, scratch);
        return;
    }
    traversal.apply_joined(op.application().columns, channels,
                           join_coefficients<Op>(traversal, values, scratch),
                           joined_stride(traversal, values.channels));
}

/// Each group from begin to end, while it is in a cache.
template <typename Op>
void run_by_groups(const Op& op, const Traversal& traversal, const Plan& plan) {
    const BlockRange all{0, plan.blocks};
    // Copies that are read once would only take room.
    const bool keeps_copies = op.pass_count() + (op.applies() ? 1 : 0) > 1;
    const std::int64_t copy_bytes =
        keeps_copies ? traversal.group_copy_bytes(plan.channels_per_group) : 0;
    const std::size_t joined_bytes =
        traversal.joins_rows() ? Scratch::rounded(static_cast<std::size_t>(joined_count<Op>(
                                                      traversal, plan.channels_per_group)) *
                                                  sizeof(typename Op::Arithmetic))
                               : 0;
    const std::size_t bytes = group_bytes<Op>(traversal, plan.channels_per_group) +
                              traversal.scratch_bytes(plan.channels_per_group, plan.blocks) +
                              static_cast<std::size_t>(copy_bytes) + 2 * Scratch::line +
                              joined_bytes;
    parallel_for(plan.group_count(), plan.threads, [&](std::int64_t index) {
        Scratch& scratch = Scratch::of_this_thread();
        scratch.reserve(bytes);
        const ChannelRange channels = plan.group(index);
        const GroupValues values =
            take_group<Op>(traversal, channels.end - channels.begin, scratch);
        op.begin_group(channels, values);
        Traversal::GroupCopies copies;
        if (copy_bytes > 0) {
            copies = traversal.take_group_copies(channels, scratch);
        }
        for (int pass = 0; pass < op.pass_count(); ++pass) {
            traversal.reduce(op.reduction(), channels, all, values.centers, copies, values.sums,
                             scratch);
            copies.are_complete = copy_bytes > 0;
            op.finish_pass(pass, channels, values);
        }
        if (op.applies()) {
            apply_group(op, traversal, channels, all, values, copies, scratch);
        }
    });
}

/// Phase by phase, parts of groups shared by the threads.
template <typename Op>
void run_by_parts(const Op& op, const Traversal& traversal, const Plan& plan) {
    const std::int64_t groups = plan.group_count();
    const std::int64_t parts = plan.part_count();
    const std::int64_t sums = 2 * traversal.values_per_group(plan.channels_per_group);
    Scratch shared;
    shared.reserve(
        static_cast<std::size_t>(groups) * group_bytes<Op>(traversal, plan.channels_per_group) +
        static_cast<std::size_t>((groups * parts + BlockSums::levels_for(parts)) * sums) *
            sizeof(double) +
        2 * Scratch::line);
    std::vector<GroupValues> values;
    values.reserve(static_cast<std::size_t>(groups));
    for (std::int64_t group = 0; group < groups; ++group) {
        const ChannelRange channels = plan.group(group);
        values.push_back(take_group<Op>(traversal, channels.end - channels.begin, shared));
        op.begin_group(channels, values.back());
    }
    auto* const part_sums = shared.take<double>(groups * parts * sums);
    auto* const levels = shared.take<double>(BlockSums::levels_for(parts) * sums);
    const std::size_t bytes =
        traversal.scratch_bytes(plan.channels_per_group, plan.blocks_per_part);
    const auto for_each_part = [&](auto&& function) {
        parallel_for(groups * parts, plan.threads, [&](std::int64_t task) {
            Scratch& scratch = Scratch::of_this_thread();
            scratch.reserve(bytes);
            const std::int64_t group = task / parts;
            function(task, plan.group(group), plan.part(task % parts),
                     values[static_cast<std::size_t>(group)], scratch);
        });
    };
    for (int pass = 0; pass < op.pass_count(); ++pass) {
        for_each_part([&](std::int64_t task, const ChannelRange& channels, const BlockRange& blocks,
                          const GroupValues& group, Scratch& scratch) {
            traversal.reduce(op.reduction(), channels, blocks, group.centers, {},
                             part_sums + task * sums, scratch);
        });
        for (std::int64_t group = 0; group < groups; ++group) {
            const GroupValues& all = values[static_cast<std::size_t>(group)];
            BlockSums tree(levels, 2 * all.stride);
            for (std::int64_t part = 0; part < parts; ++part) {
                tree.append(part_sums + (group * parts + part) * sums);
            }
            tree.total(all.sums);
            op.finish_pass(pass, plan.group(group), all);
        }
    }
    if (op.applies()) {
        for_each_part([&](std::int64_t /*task*/, const ChannelRange& channels,
                          const BlockRange& blocks, const GroupValues& group, Scratch& scratch) {
            traversal.apply(op.application(), channels, blocks, group.coefficients, {}, scratch);
        });
    }
}

template <typename Op>
void run(const Op& op, const Traversal& traversal, std::int64_t num_threads) {
    const Plan plan = make_plan(traversal, num_threads);
    if (plan.part_count() == 1) {
        run_by_groups(op, traversal, plan);
    } else {
        run_by_parts(op, traversal, plan);
    }
}

}  // namespace normgraph::kernel::simd
