#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/staging/mask_access.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
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

    void skip_rows(std::int64_t rows) {
        for (SourceTile& source : sources) {
            source.address += rows * source.row_stride;
        }
        mask.address += rows * mask.row_stride;
        target.address += rows * target.row_stride;
    }
};

/// Room for one tile of each tensor.
struct TileBuffers {
    std::array<std::byte*, most_sources> sources{};
    std::byte* target = nullptr;
    std::byte* mask = nullptr;
};

/// Copies of a group's sources that are not direct, each [row][channel][element].
struct GroupCopies {
    std::array<std::byte*, most_sources> sources{};  ///< null: tiles are copied each time
    ChannelRange channels{};
    bool are_complete = false;
};

class Traversal {
public:
    Traversal(const Problem& problem, const TensorList& tensors);

    /// Which sources the kernels are given, in this order (indices into TensorList::sources).
    void set_reduce_sources(std::span<const std::size_t> sources) { reduced_.assign(sources); }
    void set_apply_sources(std::span<const std::size_t> sources) { applied_.assign(sources); }
    /// The bits that masking kernels read (reduce and apply) or write (apply alone). Where bits
    /// that are written are not wanted, the address is null.
    void set_mask(std::byte* address, const Problem& problem, bool is_written);

    const Geometry& geometry() const { return geometry_; }
    std::int64_t elements_per_channel() const { return geometry_.elements_per_channel(); }
    Workload workload() const;
    bool streams_target() const { return streams_target_; }

    Tiles tiles(Phase phase, const ChannelRange& channels, std::int64_t block) const;
    /// Copies what has to be copied of a tile before a micro-kernel takes it, and after.
    StagedTile stage(Phase phase, const Tile& tile, const TileBuffers& buffers,
                     const GroupCopies& copies) const;
    void write_back(const Tile& tile, const StagedTile& staged, const TileBuffers& buffers) const;

    std::size_t buffer_bytes(std::int64_t channels) const;
    TileBuffers take_buffers(std::int64_t channels, Scratch& scratch) const;

    /// Bytes that copies of whole groups take; 0 where there is nothing to copy, or too much.
    std::int64_t group_copy_bytes(std::int64_t channels) const;
    GroupCopies take_group_copies(const ChannelRange& channels, Scratch& scratch) const;

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

    std::int64_t copied_sources() const;
    std::int64_t most_copied_channels() const;
    std::int64_t group_bytes(std::int64_t channels) const;
    std::int64_t mask_bytes(std::int64_t channels) const;
    /// Whether a tile's bits are copied from its buffer to the mask.
    bool copies_bits_back() const {
        return mask_ && mask_is_written_ && !mask_->is_direct() && !mask_->is_absent();
    }
    bool shares_mask_bytes() const { return copies_bits_back() && mask_->packs_elements(); }
    /// Whether the micro-kernels take the mask's bits from a buffer, or leave them there.
    bool buffers_mask() const { return mask_ && (!mask_->is_direct() || mask_->is_absent()); }

    MaskTile mask_tile(const Tile& tile, std::byte* buffer) const;
    BufferedTile tile_in(std::byte* buffer, const Tile& tile) const;
    BufferedTile tile_in_copy(std::byte* copy, const Tile& tile, const ChannelRange& group) const;
    SourceTile direct_source(const TensorAccess& access, const Tile& tile) const;
    SourceTile source_tile(std::size_t source, const Tile& tile, std::byte* buffer,
                           const GroupCopies& copies) const;
    TargetTile target_tile(const Tile& tile, std::byte* buffer, bool is_buffered) const;
    std::int64_t prefetch_distance(const TensorAccess& access, const Tile& tile) const;
    bool target_lines_up(const Tile& tile) const;

    Geometry geometry_;
    std::array<TensorAccess, most_sources> sources_;
    std::size_t source_count_;
    TensorAccess target_;
    SourceChoice reduced_, applied_;
    std::optional<MaskAccess> mask_;
    bool mask_is_written_ = false;
    bool copies_across_ = false;
    bool streams_target_ = false;
};

}  // namespace normgraph::kernel::simd
