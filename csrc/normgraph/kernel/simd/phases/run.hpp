#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "normgraph/kernel/simd/phases/block_sums.hpp"
#include "normgraph/kernel/simd/phases/group_values.hpp"
#include "normgraph/kernel/simd/phases/phases.hpp"
#include "normgraph/kernel/simd/tiling/plan.hpp"
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

/// The coefficients of each channel, once for every element of its coalesced rows.
template <typename Op>
class CoalescedCoefficients {
public:
    using Arithmetic = typename Op::Arithmetic;

    CoalescedCoefficients(const Geometry& geometry, std::int64_t channels)
        : length_(geometry.order.row_length),
          stride_(round_up(channels * length_, lanes_per_step) + lanes_per_step) {}

    /// From one kind of coefficients to the next: whole vectors can be read from any column on.
    std::int64_t stride() const { return stride_; }
    std::int64_t count() const {
        return static_cast<std::int64_t>(Op::coefficient_count) * stride_;
    }
    std::size_t bytes() const {
        return Scratch::rounded(static_cast<std::size_t>(count()) * sizeof(Arithmetic));
    }

    const Arithmetic* make(const GroupValues& group, Scratch& scratch) const {
        auto* const coalesced = scratch.take<Arithmetic>(count());
        const auto* const values = reinterpret_cast<const Arithmetic*>(group.coefficients);
        for (std::size_t index = 0; index < Op::coefficient_count; ++index) {
            const auto kind = static_cast<std::int64_t>(index);
            for (std::int64_t channel = 0; channel < group.channels; ++channel) {
                std::fill_n(coalesced + kind * stride_ + channel * length_, length_,
                            values[kind * group.stride + channel]);
            }
        }
        return coalesced;
    }

private:
    std::int64_t length_, stride_;
};

/// Runs an op. Where every group is one part, each goes through all phases while it is in a cache,
/// and the threads share the groups; else all groups go through one phase after the other, and the
/// threads share their parts.
template <typename Op>
class Run {
public:
    Run(const Op& op, const Traversal& traversal, const Plan& plan)
        : op_(op),
          traversal_(traversal),
          plan_(plan),
          parts_(plan.part_count()),
          // Copies that are read once would only take room.
          keeps_copies_(parts_ == 1 && op.pass_count() + (op.applies() ? 1 : 0) > 1 &&
                        traversal.group_copy_bytes(plan.channels_per_group) > 0),
          coalesces_(parts_ == 1 && traversal.coalesces_rows()),
          part_bytes_(phase_bytes(traversal, plan.channels_per_group, plan.blocks_per_part)),
          part_sums_(sums_per_channel *
                     traversal.geometry().values_per_group(plan.channels_per_group)) {}

    void run() const {
        if (parts_ > 1) {
            Scratch shared;
            shared.reserve(shared_bytes());
            std::vector<Group> groups;
            for (std::int64_t index = 0; index < plan_.group_count(); ++index) {
                groups.push_back(make_group(index, shared));
            }
            run_phases(groups, shared);
            return;
        }
        parallel_for(plan_.group_count(), plan_.threads, [&](std::int64_t index) {
            Scratch& scratch = Scratch::of_this_thread();
            scratch.reserve(single_group_bytes());
            Group group = make_group(index, scratch);
            run_phases({&group, 1}, scratch);
        });
    }

private:
    struct Group {
        ChannelRange channels;
        GroupValues values;
        GroupCopies copies;
        double* part_sums;  ///< [part][part_sums_]; those of the values if there is one part
    };

    const Geometry& geometry() const { return traversal_.geometry(); }

    std::size_t single_group_bytes() const {
        const std::int64_t channels = plan_.channels_per_group;
        const auto copies =
            static_cast<std::size_t>(keeps_copies_ ? traversal_.group_copy_bytes(channels) : 0);
        const std::size_t coalesced =
            coalesces_ ? CoalescedCoefficients<Op>(geometry(), channels).bytes() : 0;
        return group_bytes<Op>(geometry(), channels) + part_bytes_ + copies + coalesced +
               2 * Scratch::line;
    }

    std::size_t shared_bytes() const {
        const std::int64_t groups = plan_.group_count();
        const std::int64_t sums = (groups * parts_ + BlockSums::levels_for(parts_)) * part_sums_;
        return static_cast<std::size_t>(groups) *
                   group_bytes<Op>(geometry(), plan_.channels_per_group) +
               static_cast<std::size_t>(sums) * sizeof(double) + 2 * Scratch::line;
    }

    Group make_group(std::int64_t index, Scratch& scratch) const {
        const ChannelRange channels = plan_.group(index);
        Group group{channels,
                    take_group<Op>(geometry(), channels.end - channels.begin, scratch),
                    {},
                    nullptr};
        group.part_sums =
            parts_ == 1 ? group.values.sums : scratch.take<double>(parts_ * part_sums_);
        op_.begin_group(channels, group.values);
        if (keeps_copies_) {
            group.copies = traversal_.take_group_copies(channels, scratch);
        }
        return group;
    }

    void run_phases(std::span<Group> groups, Scratch& scratch) const {
        for (int pass = 0; pass < op_.pass_count(); ++pass) {
            for_each_part(groups, [&](Group& group, std::int64_t part, Scratch& own) {
                reduce(traversal_, op_.reduction(), group.channels, plan_.part(part),
                       group.values.centers, group.copies, group.part_sums + part * part_sums_,
                       own);
            });
            for (Group& group : groups) {
                combine(group, scratch);
                group.copies.are_complete = keeps_copies_;
                op_.finish_pass(pass, group.channels, group.values);
            }
        }
        if (op_.applies()) {
            for_each_part(groups, [&](Group& group, std::int64_t part, Scratch& own) {
                apply_part(group, part, own);
            });
        }
    }

    /// Calls `function(group, part, scratch)`, on several threads if groups have several parts.
    template <typename Function>
    void for_each_part(std::span<Group> groups, const Function& function) const {
        if (parts_ == 1) {
            return function(groups[0], 0, Scratch::of_this_thread());
        }
        const auto tasks = static_cast<std::int64_t>(groups.size()) * parts_;
        parallel_for(tasks, plan_.threads, [&](std::int64_t task) {
            Scratch& scratch = Scratch::of_this_thread();
            scratch.reserve(part_bytes_);
            function(groups[static_cast<std::size_t>(task / parts_)], task % parts_, scratch);
        });
    }

    /// Adds the sums of a group's parts, which are nodes of one tree.
    void combine(const Group& group, Scratch& scratch) const {
        if (parts_ == 1) {
            return;
        }
        const Scratch::Frame frame(scratch);
        BlockSums tree(scratch.take<double>(BlockSums::levels_for(parts_) * part_sums_),
                       sums_per_channel * group.values.stride);
        for (std::int64_t part = 0; part < parts_; ++part) {
            tree.append(group.part_sums + part * part_sums_);
        }
        tree.total(group.values.sums);
    }

    void apply_part(const Group& group, std::int64_t part, Scratch& scratch) const {
        if (coalesces_) {
            const CoalescedCoefficients<Op> coefficients(geometry(), group.values.channels);
            apply_coalesced(traversal_, op_.application().columns, group.channels,
                            coefficients.make(group.values, scratch), coefficients.stride());
        } else {
            apply(traversal_, op_.application(), group.channels, plan_.part(part),
                  group.values.coefficients, group.copies, scratch);
        }
    }

    const Op& op_;
    const Traversal& traversal_;
    const Plan& plan_;
    std::int64_t parts_;
    bool keeps_copies_, coalesces_;
    std::size_t part_bytes_;
    std::int64_t part_sums_;  ///< doubles from one part's sums to the next one's
};

template <typename Op>
void run(const Op& op, const Traversal& traversal, std::int64_t num_threads) {
    const Plan plan = make_plan(traversal.geometry(), traversal.workload(), num_threads);
    Run<Op>(op, traversal, plan).run();
}

}  // namespace normgraph::kernel::simd
