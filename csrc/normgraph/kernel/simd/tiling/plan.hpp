#pragma once

#include <algorithm>
#include <cstdint>

#include "normgraph/kernel/simd/tiling/geometry.hpp"

/// How a problem is divided: into groups of channels, each reduced and then applied while it is
/// still in a cache, and, where groups are too few for the threads, into parts of their blocks. The
/// bits of the results do not depend on it.
namespace normgraph::kernel::simd {

struct Plan {
    std::int64_t threads = 1;
    std::int64_t channels = 0;
    std::int64_t channels_per_group = 1;
    std::int64_t blocks = 0;
    std::int64_t blocks_per_part = 0;  ///< a power of two, or all of them

    std::int64_t group_count() const { return divide_up(channels, channels_per_group); }
    std::int64_t part_count() const { return blocks == 0 ? 1 : divide_up(blocks, blocks_per_part); }
    ChannelRange group(std::int64_t index) const {
        const std::int64_t begin = index * channels_per_group;
        return {begin, std::min(begin + channels_per_group, channels)};
    }
    BlockRange part(std::int64_t index) const {
        const std::int64_t begin = index * blocks_per_part;
        return {begin, std::min(begin + blocks_per_part, blocks)};
    }
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
};

/// For at most num_threads threads; fewer where the problem is small.
Plan make_plan(const Geometry& geometry, const Workload& workload, std::int64_t num_threads);

}  // namespace normgraph::kernel::simd
