#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "normgraph/indices/counts.hpp"
#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/layout.hpp"
#include "normgraph/kernel/simd/mask_access.hpp"
#include "normgraph/kernel/simd/micro_kernels.hpp"
#include "normgraph/kernel/simd/scratch.hpp"
#include "normgraph/kernel/simd/tensor_access.hpp"

/// Hands a problem's elements to micro-kernels, tile by tile, in the canonical order.
///
/// Tensors whose rows are contiguous are used where they lie. Of all others a tile at a time is
/// copied to (and from) a buffer that fits the first-level cache.
namespace normgraph::kernel::simd {

/// The blocks, of the canonical order, from begin up to end.
struct BlockRange {
    std::int64_t begin, end;
};

/// The tensors of an op: sources first; the target may be absent.
struct TensorList {
    std::span<const ConstTensor> sources;
    Tensor target;
};

class Traversal {
public:
    static constexpr std::size_t most_sources = 2;
    static constexpr std::int64_t cache_line = 64;
    /// Channels of a tile that is copied from, or to, a tensor whose neighbours are of different
    /// channels: whole cache lines.
    static constexpr std::int64_t channels_across = 64;

    Traversal(const Problem& problem, const TensorList& tensors);

    LayoutClass layout_class() const { return layout_class_; }
    std::int64_t channels() const { return channels_; }
    std::int64_t elements_per_channel() const { return order_.row_count * order_.row_length; }
    std::int64_t block_count() const { return order_.block_count(); }
    std::int64_t elements_per_block() const;
    /// Whether neighbours in memory are of different channels in some tensor that is copied by
    /// tiles.
    bool copies_across() const { return copies_across_; }
    std::size_t element_size() const { return size_; }
    std::int64_t bytes_per_row() const {
        return order_.row_length * static_cast<std::int64_t>(size_);
    }
    /// Such rows are written to a buffer first, several channels side by side, if they are to
    /// bypass the cache: else too few of their lines would be whole.
    bool has_short_rows() const { return bytes_per_row() < shortest_streamed_row; }
    /// As many rows or fewer, so that side by side they fill whole cache lines; if so few do not,
    /// as many.
    std::int64_t in_whole_lines(std::int64_t rows) const;
    /// Bytes of one tensor.
    std::int64_t tensor_bytes() const {
        return channels_ * elements_per_channel() * static_cast<std::int64_t>(size_);
    }

    /// channels_last gives each of its lanes a column of its own: column lane · channels + channel.
    std::int64_t columns_per_channel() const { return columns_per_channel_; }
    /// Values that a group of so many channels needs of each kind: whole steps.
    std::int64_t values_per_group(std::int64_t channels) const {
        return round_up(channels * columns_per_channel_, lanes_per_step);
    }

    /// Copies of a group's sources that are not direct, each [row][channel][element].
    struct GroupCopies {
        std::array<std::byte*, most_sources> sources{};  ///< null: tiles are copied each time
        ChannelRange channels{};
        bool are_complete = false;
    };
    /// Bytes that copies of whole groups take; 0 where there is nothing to copy, or too much.
    std::int64_t group_copy_bytes(std::int64_t channels) const;
    /// The most channels of which copies are kept; 0 where there is nothing to copy, or one is too
    /// many.
    std::int64_t most_channels_to_copy() const;
    GroupCopies take_group_copies(const ChannelRange& channels, Scratch& scratch) const;

    /// Scratch that reduce or apply takes for a group.
    std::size_t scratch_bytes(std::int64_t channels, std::int64_t blocks) const;

    /// Sums the terms of the first source_count sources over the blocks: [sum][channel], with
    /// values_per_group(channels) between the two sums. Centers: one per column.
    void reduce(const RowsAndColumns<Reduce>& kernel, const ChannelRange& channels,
                const BlockRange& blocks, const double* centers, const GroupCopies& copies,
                double* sums, Scratch& scratch) const;

    /// Writes the target. Coefficients: one per column.
    void apply(const RowsAndColumns<Apply>& kernel, const ChannelRange& channels,
               const BlockRange& blocks, const void* coefficients, const GroupCopies& copies,
               Scratch& scratch) const;

    /// Whether short rows of channels follow each other in all tensors of apply, so that rows of a
    /// group can be taken as one row of columns, with a coefficient for each.
    bool joins_rows() const;
    std::int64_t joined_columns(std::int64_t channels) const {
        return channels * order_.row_length;
    }
    /// As apply. Coefficients: one per joined column, and a step more of each kind; `stride` from
    /// one kind to the next.
    void apply_joined(Apply kernel, const ChannelRange& channels, const void* coefficients,
                      std::int64_t stride) const;

    /// Which sources the kernels are given, in this order (indices into TensorList::sources).
    void set_reduce_sources(std::span<const std::size_t> sources) { reduced_.assign(sources); }
    std::int64_t reduced_source_count() const { return static_cast<std::int64_t>(reduced_.count); }
    void set_apply_sources(std::span<const std::size_t> sources) { applied_.assign(sources); }

    /// The bits that masking kernels read (reduce and apply) or write (apply alone). Where bits
    /// that are written are not wanted, the address is null.
    void set_mask(std::byte* address, const Problem& problem, bool is_written);
    /// Whether bytes that are written hold bits of several blocks, and of up to 8 channels.
    bool shares_mask_bytes() const {
        return mask_ && mask_is_written_ && !mask_->is_direct() && !mask_->is_absent();
    }

private:
    static constexpr std::int64_t shortest_streamed_row = 1024;
    static constexpr std::int64_t fewest_joined_rows = 8;

    struct SourceChoice {
        std::array<std::size_t, most_sources> index{};
        std::size_t count = 0;
        void assign(std::span<const std::size_t> sources) {
            count = 0;
            for (const std::size_t source : sources) {
                index[count++] = source;
            }
        }
    };
    struct Buffers {
        std::array<std::byte*, most_sources> sources{};
        std::byte* target = nullptr;
        std::byte* mask = nullptr;
    };
    void read_axes(const Problem& problem, std::span<const std::int64_t> strides,
                   TensorAccess& access) const;
    bool is_copied_across(const TensorAccess& access) const;
    bool can_be_direct(const TensorAccess& access) const;

    /// Whether the micro-kernels take the mask's bits from a buffer, or leave them there.
    bool buffers_mask() const { return mask_ && (!mask_->is_direct() || mask_->is_absent()); }
    MaskRegion region_of(const Tile& tile) const;
    MaskTile mask_tile(const Tile& tile, std::byte* buffer) const;

    /// The elements of a block: [first, end) of rows [row, row_end).
    struct BlockExtent {
        std::int64_t row, row_end, first, end;
    };
    BlockExtent extent_of(std::int64_t block) const;
    /// What the tensors of a phase ask of its tiles.
    struct TileDemands {
        bool stages;            ///< some tensor is copied
        bool buffers_target;    ///< the target is written to a buffer first
        bool rows_are_regular;  ///< tiles may have several rows
        std::int64_t run;       ///< tiles must not go beyond a multiple of this many elements
    };
    TileDemands demands_of(const SourceChoice& sources, bool with_target,
                           const ChannelRange& channels, const BlockExtent& block) const;
    struct TileSize {
        std::int64_t channels, elements;
        std::int64_t rows = 1;
    };
    TileSize tile_size(std::int64_t channels, std::int64_t elements,
                       const TileDemands& demands) const;
    TileSize staged_tile_size(std::int64_t channels, std::int64_t elements) const;
    template <typename Function>
    void for_each_tile(const SourceChoice& sources, bool with_target, const ChannelRange& channels,
                       std::int64_t block, const Function& function) const;
    std::int64_t elements_per_staged_tile(std::int64_t channels) const;
    std::int64_t tile_bytes(std::int64_t channels) const;
    /// Of one source.
    std::int64_t group_bytes(std::int64_t channels) const;
    std::int64_t mask_bytes(std::int64_t channels) const;
    Buffers take_buffers(std::int64_t channels, Scratch& scratch) const;

    BufferedTile tile_in(std::byte* buffer, const Tile& tile) const;
    BufferedTile tile_in_copy(std::byte* copy, const Tile& tile, const ChannelRange& group) const;
    std::int64_t prefetch_distance(const TensorAccess& access, const Tile& tile) const;
    SourceTile source_tile(std::size_t source, const Tile& tile, std::byte* buffer,
                           const GroupCopies& copies) const;
    TargetTile target_tile(const Tile& tile, std::byte* buffer, bool& is_buffered) const;
    void write_back(const Tile& tile, const Buffers& buffers) const;
    bool target_lines_up(const Tile& tile) const;

    /// Calls the kernel on whole rows of columns, and on the incomplete one.
    template <typename Call>
    void call_columns(const Tile& tile, const Call& call) const;

    std::size_t size_;
    std::int64_t channels_;
    LayoutClass layout_class_;
    SummationOrder order_;
    std::int64_t columns_per_channel_;
    std::array<TensorAccess, most_sources> sources_;
    std::size_t source_count_;
    TensorAccess target_;
    SourceChoice reduced_, applied_;
    std::optional<MaskAccess> mask_;
    bool mask_is_written_ = false;
    bool copies_across_ = false;
    bool bypasses_cache_ = false;
};

}  // namespace normgraph::kernel::simd
