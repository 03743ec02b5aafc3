#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/simd/phases/group_values.hpp"
#include "normgraph/kernel/simd/phases/node_tree.hpp"
#include "normgraph/kernel/simd/phases/phases.hpp"
#include "normgraph/kernel/simd/staging/memory_order.hpp"
#include "normgraph/kernel/simd/tiling/plan.hpp"
#include "normgraph/kernel/threads/parallel_for.hpp"

/// The phases of an op — reduce, combine, apply — run by a plan.
///
/// An op is a class with
/// - Element: of the data; Arithmetic: arithmetic_t<Element>; coefficient_count: per channel;
/// - int pass_count() const, Reduction reduction(int pass) const;
/// - void begin_group(ChannelRange, const GroupValues&) const: sets shifts for the first pass, or
///   coefficients if there is none;
/// - void finish_pass(int pass, ChannelRange, const GroupValues&) const, with the node of all
///   blocks: sets shifts for the next pass, or writes results and coefficients;
/// - bool applies() const, RowsAndColumns<Apply> application(const GroupValues&) const: of sources
///   that were reduced before, if any were;
/// - UncountedApplication uncounted_application() const, if what it applies depends on which
///   positions count.
///
/// An op that keeps the nodes of leaves has `double* leaves() const`, [leaf][2][channel], in the
/// place of finish_pass, applies and application; it makes one pass.
namespace normgraph::kernel::simd {

/// The coefficients of each channel, once for every element of its coalesced rows.
template <typename Op>
class CoalescedCoefficients {
public:
    using Arithmetic = typename Op::Arithmetic;

    CoalescedCoefficients(const Geometry& geometry, std::int64_t channels)
        : length_(geometry.order.row_length),
          stride_(round_up(channels * length_, most_lanes) + most_lanes) {}

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

template <typename Op>
concept keeps_leaves = requires(const Op& op) { op.leaves(); };

/// Runs an op. Where every group is one part, each goes through all phases while it is in a cache,
/// and the threads share the groups. Else all groups go through one phase after the other, and the
/// threads share their parts; so they do where reduce copies slabs.
template <typename Op>
class Run {
public:
    Run(const Op& op, const Traversals& traversals, std::int64_t num_threads)
        : op_(op),
          reducing_(op.pass_count() > 0 ? traversals.reduce() : traversals.apply()),
          applying_(traversals.apply()),
          num_threads_(num_threads),
          plan_(make_plan(reducing_.geometry(), workload(), num_threads)) {}

    void run() const {
        if constexpr (keeps_leaves<Op>) {
            reduce_to_leaves();
        } else {
            reduce_and_apply();
        }
    }

private:
    using Data = typename Op::Element;

    void reduce_and_apply() const {
        if (plan_.part_count() > 1 || reducing_.reduces_slabs()) {
            run_phase_by_phase();
        } else {
            run_group_by_group();
        }
    }

    const Geometry& geometry() const { return reducing_.geometry(); }

    /// That of reduce, in groups that apply can take as well: where it has another order, channels
    /// may share bytes of its mask.
    Workload workload() const {
        Workload workload = reducing_.workload();
        workload.packs_channels =
            workload.packs_channels || applying_.apply_workload().packs_channels;
        workload.keeps_leaves = keeps_leaves<Op>;
        return workload;
    }

    void begin_group(const ChannelRange& channels, const GroupValues& values) const {
        op_.begin_group(channels, values);
        repeat_columns(op_.pass_count() > 0, values);
    }
    void finish_pass(int pass, const ChannelRange& channels, const GroupValues& values) const {
        op_.finish_pass(pass, channels, values);
        repeat_columns(pass + 1 < op_.pass_count(), values);
    }
    /// Of what the op has set for the first column of each channel: shifts, or coefficients.
    static void repeat_columns(bool are_shifts, const GroupValues& values) {
        if (values.columns_per_channel == 1) {
            return;
        }
        are_shifts
            ? values.template repeat_shifts<Data>()
            : values.template repeat_coefficients<typename Op::Arithmetic>(Op::coefficient_count);
    }

    // ---- group by group -------------------------------------------------------------------------

    void run_group_by_group() const {
        const std::int64_t channels = plan_.channels_per_group;
        const bool applies_copies = op_.applies() && &applying_ == &reducing_;
        // Copies that are read once would only take room.
        const bool keeps_copies = op_.pass_count() + (applies_copies ? 1 : 0) > 1 &&
                                  reducing_.group_copy_bytes(channels) > 0;
        const std::size_t bytes =
            group_bytes<Op>(geometry(), channels) +
            std::max(op_.pass_count() > 0 ? reduce_bytes(reducing_, channels, plan_.blocks) : 0,
                     apply_bytes(applying_, channels)) +
            static_cast<std::size_t>(keeps_copies ? reducing_.group_copy_bytes(channels) : 0) +
            coalesced_bytes(plan_) + 2 * Scratch::line;
        parallel_for(plan_.group_count(), plan_.threads, [&](std::int64_t index) {
            Scratch& scratch = Scratch::of_this_thread();
            scratch.reserve(bytes);
            const ChannelRange group = plan_.group(index);
            const GroupValues values = take_group<Op>(geometry(), group.end - group.begin, scratch);
            begin_group(group, values);
            GroupCopies copies =
                keeps_copies ? reducing_.take_group_copies(group, scratch) : GroupCopies{};
            for (int pass = 0; pass < op_.pass_count(); ++pass) {
                reduce(reducing_, op_.reduction(pass), group, {0, plan_.blocks}, values.shifts,
                       copies, values.node, scratch);
                copies.are_complete = keeps_copies;
                finish_pass(pass, group, values);
            }
            if (op_.applies()) {
                apply_blocks(plan_, group, {0, applying_.geometry().order.block_count()}, values,
                             applies_copies ? copies : GroupCopies{}, scratch);
            }
        });
    }

    // ---- leaves ---------------------------------------------------------------------------------

    void reduce_to_leaves() const {
        Scratch shared;
        shared.reserve(group_bytes<Op>(geometry(), plan_.channels) + part_node_bytes());
        const GroupValues values = take_group<Op>(geometry(), plan_.channels, shared);
        auto* const part_nodes = shared.take<double>(plan_.group_count() * nodes_per_group());
        begin_group({0, plan_.channels}, values);
        const Reduction reduction = op_.reduction(0);
        reduce_slabs(reduction, values, part_nodes);
        const std::int64_t per_leaf = plan_.parts_per_leaf();
        for (std::int64_t group = 0; group < plan_.group_count(); ++group) {
            double* const nodes = part_nodes + group * nodes_per_group();
            double* leaf = op_.leaves() + plan_.group(group).begin;
            for (std::int64_t part = 0; part < plan_.part_count(); part += per_leaf) {
                combine(plan_.group(group), {part, per_leaf, 1}, reduction, nodes, leaf,
                        plan_.channels);
                leaf += sums_per_channel * plan_.channels;
            }
        }
    }

    // ---- phase by phase -------------------------------------------------------------------------

    void run_phase_by_phase() const {
        const ChannelRange all{0, plan_.channels};
        const bool reduces = op_.pass_count() > 0;
        Scratch shared;
        shared.reserve(group_bytes<Op>(geometry(), plan_.channels) +
                       (reduces ? part_node_bytes() : 0));
        const GroupValues values = take_group<Op>(geometry(), plan_.channels, shared);
        auto* const part_nodes =
            reduces ? shared.take<double>(plan_.group_count() * nodes_per_group()) : nullptr;
        begin_group(all, values);
        for (int pass = 0; pass < op_.pass_count(); ++pass) {
            const Reduction reduction = op_.reduction(pass);
            reduce_slabs(reduction, values, part_nodes);
            for (std::int64_t group = 0; group < plan_.group_count(); ++group) {
                const ChannelRange channels = plan_.group(group);
                combine(channels, {0, plan_.part_count(), 1}, reduction,
                        part_nodes + group * nodes_per_group(), values.node + channels.begin,
                        values.stride);
            }
            finish_pass(pass, all, values);
        }
        if (op_.applies()) {
            apply_parts(values);
        }
    }

    /// From one part's node to the next one's.
    std::int64_t node_length() const {
        return sums_per_channel * geometry().values_per_group(plan_.channels_per_group);
    }
    std::int64_t nodes_per_group() const { return plan_.part_count() * node_length(); }
    /// Of all groups' parts.
    std::size_t part_node_bytes() const {
        return Scratch::rounded(static_cast<std::size_t>(plan_.group_count() * nodes_per_group()) *
                                sizeof(double));
    }

    /// `part_nodes`: [group][part][node_length()].
    void reduce_slabs(const Reduction& reduction, const GroupValues& values,
                      double* part_nodes) const {
        const std::int64_t slabs = plan_.slab_count();
        const bool copies_slabs = reducing_.reduces_slabs();
        const std::size_t bytes =
            reduce_bytes(reducing_, plan_.channels_per_group, plan_.blocks_per_part) +
            (copies_slabs ? reducing_.slab_bytes(plan_) : 0);
        parallel_for(plan_.group_count() * slabs, plan_.threads, [&](std::int64_t task) {
            Scratch& scratch = Scratch::of_this_thread();
            scratch.reserve(bytes);
            const ChannelRange group = plan_.group(task / slabs);
            const PartRange parts = plan_.slab(task % slabs);
            double* const nodes = part_nodes + task / slabs * nodes_per_group();
            const std::byte* const shifts = values.some<Data>(group.begin, 0).shifts;
            const SlabCopies copies =
                copies_slabs ? reducing_.copy_slab(plan_, group, parts, scratch) : SlabCopies{};
            for (std::int64_t index = 0; index < parts.count; ++index) {
                const std::int64_t part = parts.first + index * parts.distance;
                reduce(reducing_, reduction, group, plan_.part(part), shifts, copies.of_part(index),
                       nodes + part * node_length(), scratch);
            }
        });
    }

    /// Combines the nodes of some of a group's parts, which follow each other and are of one tree,
    /// to the two values of each channel, with a stride between the two.
    void combine(const ChannelRange& group, const PartRange& parts, const Reduction& reduction,
                 double* part_nodes, double* values, std::int64_t stride) const {
        const std::int64_t per_leaf = plan_.parts_per_leaf();
        const std::int64_t count = group.end - group.begin;
        // The last group may have fewer channels, and so shorter nodes.
        const std::int64_t length = sums_per_channel * geometry().values_per_group(count);
        Scratch& scratch = Scratch::of_this_thread();
        const std::int64_t levels = LeafTree::levels_for(parts.count, per_leaf) * length;
        scratch.reserve(static_cast<std::size_t>(levels + length) * sizeof(double) +
                        2 * Scratch::line);
        LeafTree tree(scratch.take<double>(levels), length, reduction.combine, per_leaf);
        for (std::int64_t part = parts.first; part < parts.first + parts.count; ++part) {
            tree.append(part_nodes + part * node_length(),
                        static_cast<double>(reduction.elements_in(reducing_, plan_.part(part))));
        }
        auto* const total = scratch.take<double>(length);
        tree.total(total);
        for (std::int64_t which = 0; which < sums_per_channel; ++which) {
            std::copy_n(total + which * (length / sums_per_channel), count,
                        values + which * stride);
        }
    }

    /// As if it were an op of its own: what was reduced has left the caches.
    void apply_parts(const GroupValues& values) const {
        const Plan plan = make_plan(applying_.geometry(), applying_.apply_workload(), num_threads_);
        const std::int64_t parts = plan.part_count();
        const std::size_t bytes = apply_bytes(applying_, plan.channels_per_group) +
                                  coalesced_bytes(plan) + 2 * Scratch::line;
        parallel_for(plan.group_count() * parts, plan.threads, [&](std::int64_t task) {
            Scratch& scratch = Scratch::of_this_thread();
            scratch.reserve(bytes);
            const ChannelRange group = plan.group(task / parts);
            apply_blocks(plan, group, plan.part(task % parts),
                         values.some<Data>(group.begin, group.end - group.begin), {}, scratch);
        });
    }

    // ---- both -----------------------------------------------------------------------------------

    /// After a reduction, what was read last is the likeliest to be in a cache still: rows are
    /// applied in the order of memory if they are short, so that the order within a group does not
    /// matter. (Those of the one source of f32's forward pass are faster coalesced.)
    bool applies_in_order(const BlockRange& blocks) const {
        const bool reduces = op_.pass_count() > 0;
        const bool coalesces_better =
            applying_.coalesces_rows() && applying_.applied_sources() == 1 && sizeof(Data) > 2;
        return applying_.applies_in_order() && applying_.geometry().is_box(blocks) &&
               (!reduces || (applying_.geometry().has_short_rows() && !coalesces_better));
    }

    bool coalesces(const Plan& plan) const {
        return plan.part_count() == 1 && applying_.coalesces_rows();
    }
    std::size_t coalesced_bytes(const Plan& plan) const {
        return coalesces(plan)
                   ? CoalescedCoefficients<Op>(applying_.geometry(), plan.channels_per_group)
                         .bytes()
                   : 0;
    }

    void apply_blocks(const Plan& plan, const ChannelRange& group, const BlockRange& blocks,
                      const GroupValues& values, const GroupCopies& copies,
                      Scratch& scratch) const {
        if constexpr (requires { op_.uncounted_application(); }) {
            if (applying_.positions() != nullptr) {
                return apply_by_positions(
                    applying_, {op_.application(values), op_.uncounted_application()}, group,
                    blocks, {values.coefficients, values.stride}, copies, scratch);
            }
        }
        if (applies_in_order(blocks)) {
            const bool reads_memory = op_.pass_count() == 0 || plan_.part_count() > 1;
            apply_in_order(applying_, op_.application(values).rows, group, blocks,
                           {values.coefficients, values.stride}, reads_memory, scratch);
        } else if (coalesces(plan)) {
            const CoalescedCoefficients<Op> coefficients(applying_.geometry(), values.channels);
            apply_coalesced(applying_, op_.application(values).columns, group,
                            {coefficients.make(values, scratch), coefficients.stride()});
        } else {
            apply(applying_, op_.application(values), group, blocks,
                  {values.coefficients, values.stride}, copies, scratch);
        }
    }

    const Op& op_;
    const Traversal& reducing_;
    const Traversal& applying_;
    std::int64_t num_threads_;
    Plan plan_;
};

template <typename Op>
void run(const Op& op, const Traversals& traversals, std::int64_t num_threads) {
    Run<Op>(op, traversals, num_threads).run();
}

}  // namespace normgraph::kernel::simd
