#include "normgraph/kernel/simd/staging/traversal.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace normgraph::kernel::simd {
namespace {

/// Strides of a tile whose rows lie along elements, or across channels, as micro-kernels take them.
struct TileStrides {
    std::int64_t channel, row;
};

TileStrides strides_of(const Geometry& geometry, const TensorAccess& access) {
    return geometry.is_along_rows()
               ? TileStrides{access.channel_stride, access.rows.stride()}
               : TileStrides{0, access.elements.stride() * geometry.columns_per_channel()};
}

TileStrides strides_of(const Geometry& geometry, const BufferedTile& tile) {
    return geometry.is_along_rows()
               ? TileStrides{tile.channel_stride, 0}
               : TileStrides{0, tile.element_stride * geometry.columns_per_channel()};
}

MaskRegion region_of(const Tile& tile) {
    return {tile.channels.begin, tile.channel_count(), tile.row, tile.first, tile.count};
}

/// Whether rows of channels do in a tensor.
bool rows_follow_each_other(const Geometry& geometry, const TensorAccess& access) {
    return access.is_direct && access.elements.is_one_axis() && access.rows.is_one_axis() &&
           access.channel_stride == geometry.bytes_per_row();
}

}  // namespace

Traversal::Traversal(const Problem& problem, const TensorList& tensors)
    : problem_(problem),
      geometry_(geometry_of(problem, tensors.sources[0].strides)),
      source_count_(tensors.sources.size()) {
    if (elements_per_channel() == 0) {
        return;
    }
    for (std::size_t source = 0; source < source_count_; ++source) {
        const ConstTensor& tensor = tensors.sources[source];
        TensorAccess& access = sources_[source];
        access.bind(geometry_, problem, const_cast<std::byte*>(tensor.address), tensor.strides);
        // Other threads may be writing what lies beyond a row of a source that is the target too,
        // and what is written beyond a row must not change what is read for the next one.
        if (tensor.address == tensors.target.address) {
            access.readable_end = nullptr;
        }
        copies_across_ = copies_across_ || access.is_copied_across();
    }
    if (tensors.target.address != nullptr) {
        target_.bind(geometry_, problem, tensors.target.address, tensors.target.strides);
        copies_across_ = copies_across_ || target_.is_copied_across();
        streams_target_ = geometry_.tensor_bytes() >= smallest_streamed_tensor;
    }
}

void Traversal::set_mask(std::byte* address, const Problem& problem, bool is_written) {
    mask_.emplace(address, problem, geometry_);
    mask_is_written_ = is_written;
    copies_across_ = copies_across_ || !mask_->is_direct();
    if (shares_mask_bytes()) {
        std::memset(address, 0, static_cast<std::size_t>(mask_->byte_count()));
    }
}

bool Traversal::lies_in_order() const {
    const auto does = [&](const TensorAccess& access) {
        return access.is_direct && (geometry_.is_along_rows() || access.elements.is_one_axis());
    };
    return (target_.address == nullptr || does(target_)) &&
           std::all_of(sources_.begin(), sources_.begin() + source_count_, does);
}

Workload Traversal::apply_workload() const {
    return {0,
            0,
            copies_across_,
            buffers_mask() && mask_->packs_channels(),
            shares_mask_bytes(),
            {},
            applies_in_order()};
}

Workload Traversal::workload() const {
    return {static_cast<std::int64_t>(reduced_.count), most_copied_channels(), copies_across_,
            buffers_mask() && mask_->packs_channels(), shares_mask_bytes(),    slab_demands(),
            reduced_.count == 0 && applies_in_order()};
}

// ---- tiles --------------------------------------------------------------------------------------

std::int64_t Traversal::counted_in(const BlockRange& blocks) const {
    std::int64_t count = 0;
    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
        count += counted_in(geometry_.order.extent_of(block));
    }
    return count;
}

Tiles Traversal::tiles(Phase phase, const ChannelRange& channels, const BlockExtent& block,
                       const GroupCopies& copies, bool fits_buffers) const {
    const std::int64_t row_length = geometry_.order.row_length;
    TileDemands demands{buffers_mask() || fits_buffers, copies_across_, false, true, row_length};
    const auto consider = [&](const TensorAccess& access) {
        demands.stages = demands.stages || !access.is_direct;
        demands.rows_are_regular = demands.rows_are_regular && access.rows.is_one_axis();
        if (access.is_direct && !access.elements.is_one_axis()) {
            demands.rows_are_regular = false;
            demands.run = std::gcd(demands.run, access.elements.run_length(0, row_length));
        }
    };
    for (const std::size_t source : sources_of(phase).all()) {
        if (!copies.has(source)) {
            consider(sources_[source]);
        }
    }
    if (phase == Phase::apply) {
        consider(target_);
        const Tile whole{channels, block.row, 1, block.first, block.end - block.first, {}};
        demands.buffers_target = streams_target_ && !target_lines_up(whole);
    }
    return {geometry_, demands, channels, block};
}

std::array<const std::byte*, 3> Traversal::shift_elements(std::int64_t channel,
                                                          const BlockExtent& block) const {
    const std::int64_t length = block.end - block.first, count = block.element_count();
    const TensorAccess& access = sources_[reduced_.index[0]];
    std::array elements{std::int64_t{0}, count / 2, count - 1};
    if (counted_in(block) < count) {
        elements = positions_->shift_places(geometry_.order, block);
    }
    std::array<const std::byte*, 3> addresses;
    std::ranges::transform(elements, addresses.begin(), [&](std::int64_t element) {
        return access.at({channel, block.row + element / length, block.first + element % length});
    });
    return addresses;
}

bool Traversal::reduces_blocks_together() const {
    return geometry_.is_along_rows() && positions_ == nullptr &&
           (mask_is_written_ || !buffers_mask()) &&
           std::ranges::all_of(reduced_.all(), [&](std::size_t source) {
               const TensorAccess& access = sources_[source];
               return access.is_direct && access.rows.is_one_axis() &&
                      access.elements.is_one_axis();
           });
}

StagedTile Traversal::blocks_of_channel(std::int64_t channel, std::int64_t block,
                                        std::int64_t count) const {
    const auto tile_of = [&](std::int64_t index) {
        const BlockExtent extent = geometry_.order.extent_of(index);
        return Tile{{channel, channel + 1},      extent.row,
                    extent.row_end - extent.row, extent.first,
                    extent.end - extent.first,   {}};
    };
    const Tile first = tile_of(block), second = tile_of(block + (count > 1 ? 1 : 0));
    StagedTile staged = stage(Phase::reduce, first, {}, {});
    std::size_t position = 0;
    for (const std::size_t source : reduced_.all()) {
        staged.sources[position++].channel_stride =
            sources_[source].distance(first.begin(), second.begin());
    }
    if (staged.mask.address != nullptr) {
        staged.mask.channel_stride =
            mask_->tile(region_of(second)).address - mask_->tile(region_of(first)).address;
    }
    return staged;
}

StagedTile Traversal::stage(Phase phase, const Tile& tile, const TileBuffers& buffers,
                            const GroupCopies& copies) const {
    StagedTile staged;
    std::size_t position = 0;
    for (const std::size_t source : sources_of(phase).all()) {
        staged.sources[position++] = source_tile(source, tile, buffers.sources[source], copies);
    }
    if (phase == Phase::apply) {
        staged.is_target_buffered =
            !target_.is_direct || (streams_target_ && !target_lines_up(tile));
        staged.target = target_tile(tile, buffers.target, staged.is_target_buffered);
    }
    if (mask_ && (phase == Phase::apply || !mask_is_written_)) {
        staged.mask = mask_tile(tile, buffers.mask);
    }
    return staged;
}

void Traversal::write_back(const Tile& tile, const StagedTile& staged,
                           const TileBuffers& buffers) const {
    if (staged.is_target_buffered && target_.address != nullptr) {
        const BufferedTile place = tile_in(buffers.target, tile);
        if (streams_target_) {
            // The sources of this tile have been read: their buffer is free.
            target_.stream_from(place, tile, buffers.sources[0]);
        } else {
            target_.copy_from(place, tile);
        }
    }
    if (copies_bits_back()) {
        mask_->copy_from_buffer(region_of(tile), buffers.mask);
    }
}

MaskTile Traversal::mask_tile(const Tile& tile, std::byte* buffer) const {
    const MaskRegion region = region_of(tile);
    if (!buffers_mask()) {
        return mask_->tile(region);
    }
    if (!mask_is_written_) {
        mask_->copy_to_buffer(region, buffer);
    }
    return mask_->buffer_tile(region, buffer);
}

SourceTile Traversal::direct_source(const TensorAccess& access, const Tile& tile) const {
    const TileStrides strides = strides_of(geometry_, access);
    return {access.at(tile.begin()), strides.channel, strides.row, access.readable_end,
            geometry_.is_along_rows() ? prefetch_distance(access, tile) : distance_along_columns()};
}

SourceTile Traversal::source_tile(std::size_t source, const Tile& tile, std::byte* buffer,
                                  const GroupCopies& copies) const {
    const TensorAccess& access = sources_[source];
    if (access.is_direct) {
        return direct_source(access, tile);
    }
    std::byte* const copy = copies.sources[source];
    const BufferedTile place =
        copy == nullptr ? tile_in(buffer, tile) : tile_in_copy(copy, tile, copies);
    if (!copies.has(source)) {
        access.copy_to(place, tile);
    }
    const TileStrides strides = strides_of(geometry_, place);
    if (copy == nullptr) {
        const std::byte* const end = buffer + Tiles::staged_bytes(geometry_, tile.channel_count());
        return {place.address, strides.channel, strides.row, end, 0};
    }
    const std::int64_t channels = copies.channels.end - copies.channels.begin;
    return {place.address, strides.channel, channels * strides.channel,
            copy + copied_bytes(channels, copies.extent), 0};
}

TargetTile Traversal::target_tile(const Tile& tile, std::byte* buffer, bool is_buffered) const {
    if (is_buffered) {
        const BufferedTile place = tile_in(buffer, tile);
        const TileStrides strides = strides_of(geometry_, place);
        const std::byte* const end = buffer + Tiles::staged_bytes(geometry_, tile.channel_count());
        return {place.address, strides.channel, strides.row, false, end};
    }
    const TileStrides strides = strides_of(geometry_, target_);
    return {target_.at(tile.begin()), strides.channel, strides.row, streams_target_, nullptr};
}

bool Traversal::target_lines_up(const Tile& tile) const {
    if (geometry_.is_along_rows()) {
        return !geometry_.has_short_rows() || tile.channel_count() == 1;
    }
    const std::byte* const first = target_.at({tile.channels.begin, 0, tile.first});
    return target_.elements.is_one_axis() &&
           reinterpret_cast<std::uintptr_t>(first) % cache_line == 0 &&
           strides_of(geometry_, target_).row % cache_line == 0;
}

/// In bytes, of sources that are read where they lie.
std::int64_t Traversal::prefetch_distance(const TensorAccess& access, const Tile& tile) const {
    const SummationOrder& order = geometry_.order;
    if (geometry_.tensor_bytes() <= geometry_.tuning.any_order_bytes) {
        return 0;
    }
    if (tile.count * geometry_.element_size() >= shortest_run_that_prefetches_itself) {
        return 0;
    }
    const bool is_piece = tile.count < order.row_length;
    if (is_piece && tile.channel_count() > 1) {
        return access.distance_to_next(tile);
    }
    if (geometry_.bytes_per_row() >= shortest_run_that_prefetches_itself) {
        return prefetched_bytes_ahead;
    }
    const std::int64_t run = tile.channel_count() * geometry_.bytes_per_row();
    if (run >= shortest_run_that_prefetches_itself) {
        return 0;
    }
    // Some rows further on in these channels; after the last row, the next channels.
    const std::int64_t row = tile.row + std::max(tile.rows, divide_up(prefetched_bytes_ahead, run));
    const ElementPosition ahead =
        row < order.row_count
            ? ElementPosition{tile.channels.begin, row, tile.first}
            : ElementPosition{tile.channels.end, row % order.row_count, tile.first};
    return access.distance(tile.begin(), ahead);
}

/// All sources together, if they are in no cache.
std::int64_t Traversal::distance_along_columns() const {
    const auto sources = static_cast<std::int64_t>(source_count_);
    return sources * geometry_.tensor_bytes() >= memory_bytes ? rows_from_memory_ahead_bytes : 0;
}

// ---- buffers ------------------------------------------------------------------------------------

std::size_t Traversal::buffer_bytes(std::int64_t channels) const {
    const auto tile = static_cast<std::size_t>(Tiles::staged_bytes(geometry_, channels));
    return (most_sources + 1) * Scratch::rounded(tile) +
           (buffers_mask() ? Scratch::rounded(static_cast<std::size_t>(mask_bytes(channels))) : 0);
}

TileBuffers Traversal::take_buffers(std::int64_t channels, Scratch& scratch) const {
    const std::int64_t bytes = Tiles::staged_bytes(geometry_, channels);
    TileBuffers buffers;
    for (std::size_t source = 0; source < source_count_; ++source) {
        buffers.sources[source] = scratch.take<std::byte>(bytes);
    }
    buffers.target = scratch.take<std::byte>(bytes);
    if (buffers_mask()) {
        buffers.mask = scratch.take<std::byte>(mask_bytes(channels));
    }
    return buffers;
}

std::int64_t Traversal::mask_bytes(std::int64_t channels) const {
    return MaskAccess::buffer_bytes(channels, Tiles::most_staged_elements(geometry_, channels));
}

BufferedTile Traversal::tile_in(std::byte* buffer, const Tile& tile) const {
    const std::int64_t size = geometry_.element_size();
    const std::int64_t channels = tile.channel_count();
    if (channels * tile.count * size > Tiles::staged_bytes(geometry_, channels)) {
        throw std::logic_error("normgraph: a tile is larger than its buffer");
    }
    return geometry_.is_along_rows() ? BufferedTile{buffer, tile.count * size, size}
                                     : BufferedTile{buffer, size, channels * size};
}

BufferedTile Traversal::tile_in_copy(std::byte* copy, const Tile& tile,
                                     const GroupCopies& copies) const {
    const auto& [group, extent] = std::pair(copies.channels, copies.extent);
    const std::int64_t size = geometry_.element_size();
    const std::int64_t row =
        (tile.row - extent.row) * (group.end - group.begin) + tile.channels.begin - group.begin;
    const std::int64_t row_bytes = (extent.end - extent.first) * size;
    return {copy + row * row_bytes + (tile.first - extent.first) * size, row_bytes, size};
}

/// Of those that are copied once for both phases: a source that apply alone reads is not.
std::int64_t Traversal::copied_sources() const {
    const SourceChoice& read_first = reduced_.count > 0 ? reduced_ : applied_;
    return std::ranges::count_if(read_first.all(),
                                 [&](std::size_t source) { return !sources_[source].is_direct; });
}

std::int64_t Traversal::most_copied_channels() const {
    const std::int64_t copied = copied_sources();
    if (copied == 0 || elements_per_channel() == 0 || !geometry_.is_along_rows()) {
        return 0;
    }
    return (geometry_.tuning.most_group_copy_bytes / copied - cache_line) /
           geometry_.bytes_per_channel();
}

/// Bytes of a copy of one source, and of a vector beyond its last element.
std::int64_t Traversal::copied_bytes(std::int64_t channels, const BlockExtent& extent) const {
    return channels * (extent.row_end - extent.row) * (extent.end - extent.first) *
               geometry_.element_size() +
           cache_line;
}

std::int64_t Traversal::group_bytes(std::int64_t channels) const {
    return copied_bytes(channels, geometry_.whole_extent());
}

std::int64_t Traversal::group_copy_bytes(std::int64_t channels) const {
    return channels <= most_copied_channels() ? copied_sources() * group_bytes(channels) : 0;
}

GroupCopies Traversal::take_group_copies(const ChannelRange& channels, Scratch& scratch) const {
    GroupCopies copies;
    copies.channels = channels;
    copies.extent = geometry_.whole_extent();
    const std::int64_t count = channels.end - channels.begin;
    for (const std::size_t source : reduced_.all()) {
        if (group_copy_bytes(count) > 0 && !sources_[source].is_direct) {
            copies.sources[source] = scratch.take<std::byte>(group_bytes(count));
        }
    }
    return copies;
}

// ---- slabs --------------------------------------------------------------------------------------

SlabDemands Traversal::slab_demands() const {
    SlabDemands demands;
    const auto reduced = reduced_.all();
    const auto across = std::ranges::find_if(
        reduced, [&](std::size_t source) { return lies_across_rows(sources_[source]); });
    if (!geometry_.is_along_rows() || elements_per_channel() == 0 || across == reduced.end()) {
        return demands;
    }
    demands = slab_demands_of(problem_, geometry_, sources_[*across]);
    demands.sources = std::ranges::count_if(
        reduced, [&](std::size_t source) { return !sources_[source].is_direct; });
    if (buffers_mask() && mask_->packs_channels()) {
        demands.channels = round_up(demands.channels, bits_per_byte);
    }
    return demands;
}

Slab Traversal::slab_of(const Plan& plan, const ChannelRange& channels,
                        const PartRange& parts) const {
    const BlockExtent first = geometry_.extent_of(plan.part(parts.first));
    const std::int64_t rows_per_step =
        parts.count == 1
            ? 0
            : geometry_.extent_of(plan.part(parts.first + parts.distance)).row - first.row;
    return {channels, first, parts.count, rows_per_step};
}

std::size_t Traversal::slab_bytes(const Plan& plan) const {
    const std::int64_t bytes = plan.steps_per_slab * plan.channels_per_group *
                               plan.blocks_per_part * geometry_.bytes_per_block();
    return static_cast<std::size_t>(copied_sources()) *
           Scratch::rounded(static_cast<std::size_t>(bytes + cache_line));
}

SlabCopies Traversal::copy_slab(const Plan& plan, const ChannelRange& channels,
                                const PartRange& parts, Scratch& scratch) const {
    const Slab slab = slab_of(plan, channels, parts);
    const std::int64_t step_bytes = slab.elements_per_step() * geometry_.element_size();
    SlabCopies copies{{{}, channels, slab.extent, true}, step_bytes, slab.rows_per_step};
    for (const std::size_t source : reduced_.all()) {
        if (!sources_[source].is_direct) {
            copies.first.sources[source] =
                scratch.take<std::byte>(slab.steps * step_bytes + cache_line);
            simd::copy_slab(geometry_, sources_[source], slab, copies.first.sources[source]);
        }
    }
    return copies;
}

// ---- rows in the order of memory ----------------------------------------------------------------

bool Traversal::applies_in_order() const {
    return geometry_.is_along_rows() && !mask_ && elements_per_channel() > 0 &&
           rows_follow_each_other(geometry_, target_) &&
           reinterpret_cast<std::uintptr_t>(target_.address) % target_.element_size == 0 &&
           std::ranges::all_of(applied_.all(), [&](std::size_t source) {
               return rows_follow_each_other(geometry_, sources_[source]);
           });
}

StagedTile Traversal::row_in_order(const ChannelRange& channels, const BlockExtent& extent,
                                   bool reads_memory) const {
    const ElementPosition begin{channels.begin, extent.row, extent.first};
    const bool prefetches = reads_memory && geometry_.has_short_rows() &&
                            geometry_.tensor_bytes() > geometry_.tuning.any_order_bytes;
    StagedTile staged;
    std::size_t position = 0;
    // Nothing is written beyond a row of a source that is the target too: it has no readable_end.
    const bool may_write_beyond = extent.end - extent.first == geometry_.order.row_length;
    for (const std::size_t source : applied_.all()) {
        const TensorAccess& access = sources_[source];
        staged.sources[position++] = {access.at(begin), access.channel_stride, access.rows.stride(),
                                      access.readable_end, prefetches ? prefetched_bytes_ahead : 0};
    }
    const std::byte* const end = target_.at({channels.end - 1, extent.row, extent.end});
    staged.target = {target_.at(begin), target_.channel_stride, target_.rows.stride(),
                     streams_target_, may_write_beyond ? end : nullptr};
    return staged;
}

// ---- coalesced rows -----------------------------------------------------------------------------

bool Traversal::coalesces_rows() const {
    // Elements at an odd address never begin a cache line.
    return geometry_.is_along_rows() && geometry_.has_short_rows() && !mask_ &&
           geometry_.order.row_count >= fewest_coalesced_rows &&
           rows_follow_each_other(geometry_, target_) &&
           (!streams_target_ || target_.rows.stride() % cache_line == 0) &&
           reinterpret_cast<std::uintptr_t>(target_.address) % target_.element_size == 0 &&
           std::ranges::all_of(applied_.all(), [&](std::size_t source) {
               return rows_follow_each_other(geometry_, sources_[source]);
           });
}

StagedTile Traversal::coalesced_tile(std::int64_t channel, std::int64_t row, std::int64_t first,
                                     bool streams) const {
    const std::int64_t offset = first * geometry_.element_size();
    const ElementPosition begin{channel, row, 0};
    StagedTile staged;
    std::size_t position = 0;
    for (const std::size_t source : applied_.all()) {
        const TensorAccess& access = sources_[source];
        staged.sources[position++] = {access.at(begin) + offset, 0, access.rows.stride(),
                                      access.readable_end, 0};
    }
    staged.target = {target_.at(begin) + offset, 0, target_.rows.stride(), streams};
    return staged;
}

}  // namespace normgraph::kernel::simd
