#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/counted_positions.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/staging/mask_access.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "normgraph/kernel/simd/staging/slabs.hpp"
#include "normgraph/kernel/simd/staging/tensor_access.hpp"
#include "normgraph/kernel/simd/tiling/plan.hpp"
#include "normgraph/kernel/simd/tiling/tiles.hpp"

/// Where micro-kernels find the elements of a tile.
///
/// Tensors whose rows are contiguous are used where they lie. Of all others a tile at a time is
/// copied to (and from) a buffer that fits the L1 cache.
namespace normgraph::kernel::simd {

inline constexpr std::size_t most_sources = 2;

/// The tensors of an op: sources first; the target may be absent.
struct TensorList {
    std::span<const ConstTensor> sources;
    Tensor target;
};

/// The two ways to go through the elements: they are summed, or the target is written.
enum class Phase { reduce, apply };

/// A tile as micro-kernels take it.
struct StagedTile {
    std::array<SourceTile, most_sources> sources{};
    MaskTile mask{};
    TargetTile target{};
    bool is_target_buffered = false;

    void skip_channels(std::int64_t channels) {
        for (SourceTile& source : sources) {
            source.address += channels * source.channel_stride;
        }
        target.address += channels * target.channel_stride;
    }
    void skip_rows(std::int64_t rows) {
        for (SourceTile& source : sources) {
            source.address += rows * source.row_stride;
        }
        mask.address += rows * mask.row_stride;
        target.address += rows * target.row_stride;
        if (target.writable_end != nullptr) {
            target.writable_end += rows * target.row_stride;
        }
    }
};

/// Room for one tile of each tensor.
struct TileBuffers {
    std::array<std::byte*, most_sources> sources{};
    std::byte* target = nullptr;
    std::byte* mask = nullptr;
};

/// Copies of a group's sources that are not direct, each [row][channel][element]: of all elements,
/// or of those of some blocks.
struct GroupCopies {
    std::array<std::byte*, most_sources> sources{};  ///< null: tiles are copied each time
    ChannelRange channels{};
    BlockExtent extent{};
    bool are_complete = false;

    /// Whether the elements of a source need not be copied any more.
    bool has(std::size_t source) const { return are_complete && sources[source] != nullptr; }
    /// Whether tiles are copied to them as they are staged.
    bool are_being_made() const {
        return !are_complete && std::ranges::any_of(sources, [](const std::byte* source) {
            return source != nullptr;
        });
    }
};

/// Copies of parts of a group at equal distances.
struct SlabCopies {
    GroupCopies first;
    std::int64_t step_bytes = 0;
    std::int64_t rows_per_step = 0;

    GroupCopies of_part(std::int64_t index) const {
        GroupCopies copies = first;
        for (std::byte*& source : copies.sources) {
            source = source == nullptr ? nullptr : source + index * step_bytes;
        }
        copies.extent.row += index * rows_per_step;
        copies.extent.row_end += index * rows_per_step;
        return copies;
    }
};

class Traversal {
public:
    Traversal(const Problem& problem, const TensorList& tensors);

    /// Which sources the kernels are given, in this order (indices into TensorList::sources).
    void set_reduce_sources(std::span<const std::size_t> sources) { reduced_.assign(sources); }
    void set_apply_sources(std::span<const std::size_t> sources) { applied_.assign(sources); }
    /// The bits that masking kernels read (reduce and apply) or write (apply alone).
    void set_mask(std::byte* address, const Problem& problem, bool is_written);
    /// Which positions count; null: all. They outlive it.
    void set_positions(const CountedPositions* positions) { positions_ = positions; }

    const Geometry& geometry() const { return geometry_; }
    const CountedPositions* positions() const { return positions_; }
    /// The elements of a channel that count, in a block, or in some.
    std::int64_t counted_in(const BlockExtent& block) const {
        return positions_ == nullptr ? block.element_count()
                                     : positions_->count_in(geometry_.order, block);
    }
    std::int64_t counted_in(const BlockRange& blocks) const;
    std::int64_t elements_per_channel() const { return geometry_.elements_per_channel(); }
    Workload workload() const;
    /// That of apply alone.
    Workload apply_workload() const;
    /// Whether no tensor is copied, and rows follow each other where elements of a channel do not.
    bool lies_in_order() const;
    bool streams_target() const { return streams_target_; }

    /// `fits_buffers`: of a size for which there are buffers, though no tensor may be copied.
    Tiles tiles(Phase phase, const ChannelRange& channels, const BlockExtent& block,
                const GroupCopies& copies, bool fits_buffers = false) const;
    /// The first, the middle and the last element of a block in the reduced source, of the first of
    /// the channels, which follow each other with a stride; of those elements that count.
    std::array<const std::byte*, 3> shift_elements(std::int64_t channel,
                                                   const BlockExtent& block) const;
    std::int64_t channel_stride() const { return sources_[reduced_.index[0]].channel_stride; }
    /// Between the first elements of two blocks in that source.
    std::int64_t distance(const BlockExtent& from, const BlockExtent& to) const {
        return sources_[reduced_.index[0]].distance({0, from.row, from.first},
                                                    {0, to.row, to.first});
    }

    /// Whether all that reduce takes lies in place, rows and elements at equal distances.
    bool reduces_blocks_together() const;
    /// Blocks of one channel, at equal distances, in the place of channels.
    StagedTile blocks_of_channel(std::int64_t channel, std::int64_t block,
                                 std::int64_t count) const;

    /// Copies what has to be copied of a tile before a micro-kernel takes it, and after.
    StagedTile stage(Phase phase, const Tile& tile, const TileBuffers& buffers,
                     const GroupCopies& copies) const;
    void write_back(const Tile& tile, const StagedTile& staged, const TileBuffers& buffers) const;

    std::size_t buffer_bytes(std::int64_t channels) const;
    TileBuffers take_buffers(std::int64_t channels, Scratch& scratch) const;

    /// Bytes that copies of whole groups take; 0 where there is nothing to copy, or too much.
    std::int64_t group_copy_bytes(std::int64_t channels) const;
    GroupCopies take_group_copies(const ChannelRange& channels, Scratch& scratch) const;

    /// Whether reduce reads slabs: copies of several parts at once.
    bool reduces_slabs() const { return slab_demands().sources > 0; }
    std::size_t slab_bytes(const Plan& plan) const;
    /// Copies the sources of reduce that are not direct.
    SlabCopies copy_slab(const Plan& plan, const ChannelRange& channels, const PartRange& parts,
                         Scratch& scratch) const;

    /// Whether rows of channels follow each other in all tensors of apply, so that it can go
    /// through them in the order in which they lie.
    bool applies_in_order() const;
    std::size_t applied_sources() const { return applied_.count; }
    /// The first row of an extent, of some channels, where it lies. If the sources are in no cache,
    /// what follows is prefetched.
    StagedTile row_in_order(const ChannelRange& channels, const BlockExtent& extent,
                            bool reads_memory) const;

    /// Whether short rows of channels follow each other in all tensors of apply, so that rows of a
    /// group can be taken as one row of columns, with a coefficient for each.
    bool coalesces_rows() const;
    /// Columns [first, end) of the coalesced rows from `row` on, where they lie.
    StagedTile coalesced_tile(std::int64_t channel, std::int64_t row, std::int64_t first,
                              bool streams) const;

private:
    struct SourceChoice {
        std::array<std::size_t, most_sources> index{};
        std::size_t count = 0;
        void assign(std::span<const std::size_t> sources) {
            count = 0;
            for (const std::size_t source : sources) {
                index[count++] = source;
            }
        }
        std::span<const std::size_t> all() const { return {index.data(), count}; }
    };
    const SourceChoice& sources_of(Phase phase) const {
        return phase == Phase::reduce ? reduced_ : applied_;
    }

    SlabDemands slab_demands() const;
    std::int64_t copied_sources() const;
    std::int64_t most_copied_channels() const;
    std::int64_t copied_bytes(std::int64_t channels, const BlockExtent& extent) const;
    std::int64_t group_bytes(std::int64_t channels) const;
    Slab slab_of(const Plan& plan, const ChannelRange& channels, const PartRange& parts) const;
    std::int64_t mask_bytes(std::int64_t channels) const;
    /// Whether a tile's bits are copied from its buffer to the mask.
    bool copies_bits_back() const { return mask_ && mask_is_written_ && !mask_->is_direct(); }
    bool shares_mask_bytes() const { return copies_bits_back() && mask_->packs_elements(); }
    /// Whether the micro-kernels take the mask's bits from a buffer, or leave them there.
    bool buffers_mask() const { return mask_ && !mask_->is_direct(); }

    MaskTile mask_tile(const Tile& tile, std::byte* buffer) const;
    BufferedTile tile_in(std::byte* buffer, const Tile& tile) const;
    BufferedTile tile_in_copy(std::byte* copy, const Tile& tile, const GroupCopies& copies) const;
    SourceTile direct_source(const TensorAccess& access, const Tile& tile) const;
    SourceTile source_tile(std::size_t source, const Tile& tile, std::byte* buffer,
                           const GroupCopies& copies) const;
    TargetTile target_tile(const Tile& tile, std::byte* buffer, bool is_buffered) const;
    std::int64_t prefetch_distance(const TensorAccess& access, const Tile& tile) const;
    std::int64_t distance_along_columns() const;
    bool target_lines_up(const Tile& tile) const;

    Problem problem_;
    Geometry geometry_;
    std::array<TensorAccess, most_sources> sources_;
    std::size_t source_count_;
    TensorAccess target_;
    SourceChoice reduced_, applied_;
    std::optional<MaskAccess> mask_;
    bool mask_is_written_ = false;
    bool copies_across_ = false;
    bool streams_target_ = false;
    const CountedPositions* positions_ = nullptr;
};

}  // namespace normgraph::kernel::simd
