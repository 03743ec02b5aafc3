#pragma once

#include <algorithm>
#include <cstdint>

#include "normgraph/kernel/simd/tiling/geometry.hpp"

/// How a problem is divided: into groups of channels, each reduced and then applied while it is
/// still in a cache, and, where groups are too few for the threads, into parts of their blocks. The
/// bits of the results do not depend on it.
namespace normgraph::kernel::simd {

/// `count` parts from `first` on, at this distance.
struct PartRange {
    std::int64_t first, count, distance;
};

struct Plan {
    std::int64_t threads = 1;
    std::int64_t channels = 0;
    std::int64_t channels_per_group = 1;
    std::int64_t blocks = 0;
    std::int64_t blocks_per_leaf = 1;
    /// A power of two of whole leaves, or of the blocks of a leaf, or all.
    std::int64_t blocks_per_part = 0;
    /// Parts at equal distances whose data is copied together: a slab. They are those of some
    /// steps along an axis of `steps` steps; `parts_per_step` divides the parts, unless there is
    /// one step.
    std::int64_t steps = 1;
    std::int64_t steps_per_slab = 1;
    std::int64_t parts_per_step = 1;

    std::int64_t group_count() const { return divide_up(channels, channels_per_group); }
    /// Parts of a leaf whose blocks are divided; else 1.
    std::int64_t parts_per_leaf() const {
        return blocks_per_part >= blocks_per_leaf ? 1 : divide_up(blocks_per_leaf, blocks_per_part);
    }
    std::int64_t part_count() const {
        if (blocks == 0) {
            return 1;
        }
        return parts_per_leaf() == 1 ? divide_up(blocks, blocks_per_part)
                                     : blocks / blocks_per_leaf * parts_per_leaf();
    }
    ChannelRange group(std::int64_t index) const {
        const std::int64_t begin = index * channels_per_group;
        return {begin, std::min(begin + channels_per_group, channels)};
    }
    BlockRange part(std::int64_t index) const {
        const std::int64_t leaf = parts_per_leaf() == 1 ? 0 : index / parts_per_leaf();
        const std::int64_t first = leaf * blocks_per_leaf;
        const std::int64_t end = parts_per_leaf() == 1 ? blocks : first + blocks_per_leaf;
        const std::int64_t begin = first + (index - leaf * parts_per_leaf()) * blocks_per_part;
        return {begin, std::min(begin + blocks_per_part, end)};
    }

    std::int64_t slabs_across() const { return divide_up(steps, steps_per_slab); }
    std::int64_t slab_count() const {
        return divide_up(part_count(), steps * parts_per_step) * slabs_across() * parts_per_step;
    }
    /// Slabs that follow each other lie side by side along the axis of steps.
    PartRange slab(std::int64_t index) const {
        const std::int64_t step = index % slabs_across() * steps_per_slab;
        const std::int64_t part = index / slabs_across();
        const std::int64_t first = part / parts_per_step * steps * parts_per_step;
        return {first + step * parts_per_step + part % parts_per_step,
                std::min(steps_per_slab, steps - step), parts_per_step};
    }
};

/// A reduction that copies what it reads slab by slab, in the order in which it lies in memory.
struct SlabDemands {
    std::int64_t sources = 0;   ///< that are copied so; 0 if none is
    std::int64_t channels = 1;  ///< so many together have whole cache lines,
    std::int64_t steps = 1;     ///< with so many steps along the axis of `axis_length`,
    std::int64_t axis_length = 1;
    std::int64_t blocks_per_step = 0;  ///< whose distance is so many whole blocks,
    std::int64_t blocks = 1;           ///< and so many blocks that follow each other
};

/// Facts that a plan depends on besides the geometry.
struct Workload {
    std::int64_t reduced_sources = 0;  ///< tensors that reduce reads
    /// The most channels of which copies are kept between the phases; 0 where there is nothing to
    /// copy, or one is too many.
    std::int64_t most_copied_channels = 0;
    /// Whether neighbours in memory are of different channels in some tensor that is copied.
    bool copies_across = false;
    /// Whether bytes of a mask that is copied hold bits of 8 channels: groups begin with a byte.
    bool packs_channels = false;
    /// Whether bytes of a mask that is written hold bits of several blocks.
    bool shares_mask_bytes = false;
    SlabDemands slabs{};
    /// Whether nothing is reduced, and rows are applied in the order in which they lie in memory.
    bool applies_in_order = false;
    /// Whether the nodes of leaves are kept: no part is larger than a leaf.
    bool keeps_leaves = false;
};

/// For at most num_threads threads; fewer where the problem is small.
Plan make_plan(const Geometry& geometry, const Workload& workload, std::int64_t num_threads);

}  // namespace normgraph::kernel::simd
