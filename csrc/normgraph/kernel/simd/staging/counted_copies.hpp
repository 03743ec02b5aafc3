#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/counted_positions.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "normgraph/kernel/simd/staging/tile_buffer.hpp"
#include "normgraph/kernel/simd/staging/traversal.hpp"

namespace normgraph::kernel::simd {

/// A tile whose positions do not all count, as reductions take it: in a copy, in which those
/// elements that do not count are replaced by such as add nothing.
class CountedCopies {
public:
    /// `channels`: of the group.
    CountedCopies(const Traversal& traversal, std::int64_t channels, Scratch& scratch);

    static std::size_t bytes(const Traversal& traversal, std::int64_t channels);

    /// Sets what stands for the elements of each channel in copy(): the shifts of a block, of
    /// term_t, which are numbers that the data's type has.
    void set_shifts(const std::byte* shifts);

    /// Elements that do not count are the shifts of their channels. `first`: the group's first
    /// channel.
    StagedTile copy(const Tile& tile, StagedTile staged, std::int64_t first) const;

    /// Elements that do not count, and whose gradient is 0, are 0. Sources: input and
    /// normalized_delta, of which only what the tile's mask lets pass, if it has one, is not 0.
    StagedTile copy_beside_gradient(const Tile& tile, StagedTile staged) const;

private:
    template <typename Data>
    void copy_elements(const Tile& tile, const SourceTile& source, std::int64_t first) const;
    template <typename Data>
    void copy_elements_beside_gradient(const Tile& tile, const StagedTile& staged) const;
    SourceTile copied_tile(const Tile& tile) const;

    const Geometry& geometry_;
    const CountedPositions& positions_;
    std::int64_t channels_;
    TileBuffer buffer_;
    std::byte* shifts_;  ///< of the data's type, one per channel
};

}  // namespace normgraph::kernel::simd
