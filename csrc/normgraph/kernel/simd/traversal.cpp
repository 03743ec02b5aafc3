#include "normgraph/kernel/simd/traversal.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "normgraph/kernel/simd/block_sums.hpp"
#include "normgraph/kernel/simd/fold_lanes.hpp"
#include "normgraph/kernel/strided/copy.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::simd {
namespace {

/// A tile in a buffer: with three tensors they stay in a second-level cache.
constexpr std::int64_t staged_tile_bytes = std::int64_t{64} * 1024;

/// Shorter runs of bytes are copied, many at a time.
constexpr std::int64_t shortest_direct_run = 1024;

/// Copies of a group up to here are kept between reduce and apply, in a second-level cache or near
/// it.
constexpr std::int64_t most_group_copy_bytes = std::int64_t{1024} * 1024;

/// Joined columns whose coefficients stay in the first-level cache.
constexpr std::int64_t joined_stripe = 512;

/// Rows that are computed into a buffer before they are written past the cache.
constexpr std::int64_t buffered_rows_bytes = std::int64_t{8} * 1024;

/// Below this the target is likely to be read again from the cache.
constexpr std::int64_t smallest_streamed_tensor = std::int64_t{4} * 1024 * 1024;

/// Of short rows so many are summed before the next channel's, so that sums are loaded less often.
constexpr std::int64_t short_rows_together = 4;

/// In the first-level cache, rows may be read in any order.
constexpr std::int64_t smallest_ordered_bytes = std::int64_t{16} * 1024;

/// In longer runs the processor's own prefetching suffices. In shorter ones it begins anew too
/// often, so what is read after so many bytes more is asked for, into the second-level cache.
/// (Measured on Zen 4, runs of 6 KiB from memory: 0.34 ns per f32 without, 0.32, 0.28, 0.22, 0.16,
/// 0.16 for 1, 2, 4, 8, 16 KiB ahead; in sequence 0.13.)
constexpr std::int64_t shortest_run_that_prefetches_itself = std::int64_t{32} * 1024;
constexpr std::int64_t bytes_ahead = std::int64_t{8} * 1024;

/// One past the last byte of the tensor.
const std::byte* end_of(const Problem& problem, const std::byte* address,
                        std::span<const std::int64_t> strides, std::size_t size) {
    for (std::size_t axis = 0; axis < strides.size(); ++axis) {
        address += std::max<std::int64_t>(0, (problem.shape[axis] - 1) * strides[axis]);
    }
    return address + size;
}

MaskTile shifted_by(const MaskTile& mask, std::int64_t rows) {
    return {mask.address + rows * mask.row_stride, mask.channel_stride, mask.row_stride};
}

}  // namespace

Traversal::Traversal(const Problem& problem, const TensorList& tensors)
    : size_(size_of(problem.data_type)),
      channels_(all_channels(problem).end),
      layout_class_(layout_class_of(problem, tensors.sources[0].strides)),
      source_count_(tensors.sources.size()) {
    order_ = summation_order(layout_class_, extents_of(problem));
    columns_per_channel_ = layout_class_ == LayoutClass::channels_last ? order_.lanes : 1;
    if (elements_per_channel() == 0) {
        return;
    }
    for (std::size_t source = 0; source < source_count_; ++source) {
        const ConstTensor& tensor = tensors.sources[source];
        sources_[source].address = const_cast<std::byte*>(tensor.address);
        sources_[source].element_size = size_;
        read_axes(problem, tensor.strides, sources_[source]);
        // Other threads may be writing what lies beyond a row of a source that is the target too.
        if (tensor.address != tensors.target.address) {
            sources_[source].readable_end = end_of(problem, tensor.address, tensor.strides, size_);
        }
        copies_across_ = copies_across_ || is_copied_across(sources_[source]);
    }
    if (tensors.target.address != nullptr) {
        target_.address = tensors.target.address;
        target_.element_size = size_;
        read_axes(problem, tensors.target.strides, target_);
        copies_across_ = copies_across_ || is_copied_across(target_);
        bypasses_cache_ = tensor_bytes() >= smallest_streamed_tensor;
    }
}

void Traversal::read_axes(const Problem& problem, std::span<const std::int64_t> strides,
                          TensorAccess& access) const {
    const auto channel_axis = static_cast<std::size_t>(problem.channel_axis);
    const bool has_rows = order_.row_count != 1;
    for (std::size_t axis = 0; axis < strides.size(); ++axis) {
        if (axis == channel_axis) {
            continue;
        }
        // Without an inner axis the outer ones are the row.
        const bool is_row =
            axis < channel_axis && layout_class_ == LayoutClass::channels_first && has_rows;
        (is_row ? access.rows : access.elements).append(problem.shape[axis], {strides[axis]});
    }
    access.channel_stride = strides[channel_axis];
    access.is_direct = can_be_direct(access);
}

bool Traversal::is_copied_across(const TensorAccess& access) const {
    return !access.is_direct &&
           std::abs(access.channel_stride) < std::abs(access.elements.stride());
}

bool Traversal::can_be_direct(const TensorAccess& access) const {
    const auto size = static_cast<std::int64_t>(size_);
    const TensorAxes& elements = access.elements;
    // Tiles end where runs do, so these should be long.
    const std::int64_t run = elements.run_length(0, order_.row_length);
    if (layout_class_ == LayoutClass::channels_first) {
        const bool is_whole = elements.is_one_axis() ||
                              (run % lanes_per_step == 0 && run * size >= shortest_direct_run);
        return order_.row_length == 1 || (elements.stride() == size && is_whole);
    }
    if (channels_ > 1 && access.channel_stride != size) {
        return false;
    }
    if (order_.lanes == 1) {
        return elements.is_one_axis() || run * channels_ * size >= shortest_direct_run;
    }
    // Lanes are columns, so rows of elements have to follow each other.
    return order_.row_length == 1 ||
           (elements.is_one_axis() && elements.stride() == channels_ * size);
}

std::int64_t Traversal::in_whole_lines(std::int64_t rows) const {
    const std::int64_t unit = cache_line / std::gcd(bytes_per_row(), cache_line);
    return rows < unit ? rows : rows / unit * unit;
}

std::int64_t Traversal::elements_per_block() const {
    return order_.rows_are_split() ? order_.elements_per_block()
                                   : order_.rows_per_block() * order_.row_length;
}

std::int64_t Traversal::elements_per_staged_tile(std::int64_t channels) const {
    const std::int64_t per_element = channels * static_cast<std::int64_t>(size_);
    return std::max<std::int64_t>(
        lanes_per_step, staged_tile_bytes / per_element / lanes_per_step * lanes_per_step);
}

Traversal::TileSize Traversal::tile_size(std::int64_t channels, std::int64_t elements,
                                         const TileDemands& demands) const {
    if (!demands.stages && !demands.buffers_target) {
        const bool takes_several = demands.rows_are_regular && has_short_rows();
        return {channels, elements, takes_several ? short_rows_together : 1};
    }
    if (layout_class_ == LayoutClass::channels_last) {
        return {channels, elements_per_staged_tile(channels)};
    }
    if (demands.stages) {
        return staged_tile_size(channels, elements);
    }
    // Whole rows of as many channels as the first-level cache holds.
    const std::int64_t row_bytes = elements * static_cast<std::int64_t>(size_);
    const std::int64_t rows = in_whole_lines(buffered_rows_bytes / row_bytes);
    return rows == 0 ? TileSize{1, elements_per_staged_tile(1)}
                     : TileSize{std::min(rows, channels), elements};
}

/// Along rows.
Traversal::TileSize Traversal::staged_tile_size(std::int64_t channels,
                                                std::int64_t elements) const {
    const std::int64_t of_whole_rows =
        std::max<std::int64_t>(1, elements_per_staged_tile(1) / elements);
    const std::int64_t side_by_side =
        std::min(channels, copies_across_ ? channels_across : of_whole_rows);
    // Of equal length: the memory of short tiles is read slowly.
    const std::int64_t most = elements_per_staged_tile(side_by_side);
    const std::int64_t tiles = divide_up(elements, most);
    return {side_by_side, round_up(divide_up(elements, tiles), lanes_per_step)};
}

std::int64_t Traversal::tile_bytes(std::int64_t channels) const {
    const std::int64_t smallest = channels * static_cast<std::int64_t>(size_) * lanes_per_step;
    // And a vector beyond the last element. What fewer channels take is never more.
    return std::max(staged_tile_bytes, smallest) + cache_line;
}

std::size_t Traversal::scratch_bytes(std::int64_t channels, std::int64_t blocks) const {
    const std::int64_t values = values_per_group(channels);
    const std::int64_t lanes =
        layout_class_ == LayoutClass::channels_first ? 2 * lanes_per_step * channels : 2 * values;
    const std::int64_t doubles = lanes + 2 * values * (1 + BlockSums::levels_for(blocks));
    return static_cast<std::size_t>(doubles) * sizeof(double) + 3 * Scratch::line +
           3 * Scratch::rounded(static_cast<std::size_t>(tile_bytes(channels))) +
           Scratch::rounded(static_cast<std::size_t>(mask_bytes(channels)));
}

std::int64_t Traversal::mask_bytes(std::int64_t channels) const {
    // As many bits as a staged tile has elements at most, for fewer channels too, and rounding.
    const std::int64_t elements = std::max(staged_tile_bytes / 2, lanes_per_step * channels);
    return MaskAccess::buffer_bytes(channels, 0) + elements / 8 + elements;
}

void Traversal::set_mask(std::byte* address, const Problem& problem, bool is_written) {
    mask_.emplace(address, problem, layout_class_, order_);
    mask_is_written_ = is_written;
    copies_across_ = copies_across_ || !(mask_->is_direct() || mask_->is_absent());
    if (shares_mask_bytes()) {
        std::memset(address, 0, static_cast<std::size_t>(mask_->byte_count()));
    }
}

MaskRegion Traversal::region_of(const Tile& tile) const {
    return {tile.channels.begin, tile.channel_count(), tile.row, tile.first, tile.count};
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

Traversal::Buffers Traversal::take_buffers(std::int64_t channels, Scratch& scratch) const {
    Buffers buffers;
    for (std::size_t source = 0; source < source_count_; ++source) {
        buffers.sources[source] = scratch.take<std::byte>(tile_bytes(channels));
    }
    buffers.target = scratch.take<std::byte>(tile_bytes(channels));
    if (buffers_mask()) {
        buffers.mask = scratch.take<std::byte>(mask_bytes(channels));
    }
    return buffers;
}

BufferedTile Traversal::tile_in(std::byte* buffer, const Tile& tile) const {
    const auto size = static_cast<std::int64_t>(size_);
    if (tile.channel_count() * tile.count * size > tile_bytes(tile.channel_count())) {
        throw std::logic_error("normgraph: a tile is larger than its buffer");
    }
    if (layout_class_ == LayoutClass::channels_first) {
        return {buffer, tile.count * size, size};
    }
    return {buffer, size, tile.channel_count() * size};
}

BufferedTile Traversal::tile_in_copy(std::byte* copy, const Tile& tile,
                                     const ChannelRange& group) const {
    const auto size = static_cast<std::int64_t>(size_);
    const std::int64_t row =
        tile.row * (group.end - group.begin) + tile.channels.begin - group.begin;
    return {copy + (row * order_.row_length + tile.first) * size, order_.row_length * size, size};
}

/// In bytes, of sources that are read where they lie.
std::int64_t Traversal::prefetch_distance(const TensorAccess& access, const Tile& tile) const {
    if (tensor_bytes() <= smallest_ordered_bytes) {
        return 0;
    }
    const bool is_piece = tile.count < order_.row_length;
    if (is_piece) {
        const bool is_short = tile.count * static_cast<std::int64_t>(size_) < bytes_ahead;
        return is_short ? access.distance_to_next(tile) : 0;
    }
    const std::int64_t run = tile.channel_count() * bytes_per_row();
    if (run >= shortest_run_that_prefetches_itself) {
        return 0;
    }
    // The same channels some rows further on; after the last row, the next channels.
    const std::int64_t row = tile.row + std::max(tile.rows, divide_up(bytes_ahead, run));
    const ElementPosition ahead =
        row < order_.row_count ? ElementPosition{tile.channels.begin, row, 0}
                               : ElementPosition{tile.channels.end, row % order_.row_count, 0};
    return access.distance(tile.begin(), ahead);
}

std::int64_t Traversal::most_channels_to_copy() const {
    std::int64_t copied = 0;
    for (std::size_t source = 0; source < source_count_; ++source) {
        copied += sources_[source].is_direct ? 0 : 1;
    }
    if (copied == 0 || elements_per_channel() == 0 ||
        layout_class_ != LayoutClass::channels_first) {
        return 0;
    }
    const std::int64_t per_channel = elements_per_channel() * static_cast<std::int64_t>(size_);
    return (most_group_copy_bytes / copied - cache_line) / per_channel;
}

std::int64_t Traversal::group_copy_bytes(std::int64_t channels) const {
    std::int64_t bytes = 0;
    for (std::size_t source = 0; source < source_count_; ++source) {
        bytes += sources_[source].is_direct ? 0 : group_bytes(channels);
    }
    return channels <= most_channels_to_copy() ? bytes : 0;
}

std::int64_t Traversal::group_bytes(std::int64_t channels) const {
    // And a vector beyond the last element.
    return channels * elements_per_channel() * static_cast<std::int64_t>(size_) + cache_line;
}

Traversal::GroupCopies Traversal::take_group_copies(const ChannelRange& channels,
                                                    Scratch& scratch) const {
    GroupCopies copies;
    copies.channels = channels;
    const std::int64_t count = channels.end - channels.begin;
    for (std::size_t source = 0; source < source_count_ && group_copy_bytes(count) > 0; ++source) {
        if (!sources_[source].is_direct) {
            copies.sources[source] = scratch.take<std::byte>(group_bytes(count));
        }
    }
    return copies;
}

SourceTile Traversal::source_tile(std::size_t source, const Tile& tile, std::byte* buffer,
                                  const GroupCopies& copies) const {
    const TensorAccess& access = sources_[source];
    const bool along_rows = layout_class_ == LayoutClass::channels_first;
    if (access.is_direct) {
        const std::byte* const first = access.at(tile.begin());
        if (along_rows) {
            return {first, access.channel_stride, access.rows.stride(), access.readable_end,
                    prefetch_distance(access, tile)};
        }
        return {first, 0, access.elements.stride() * columns_per_channel_, access.readable_end, 0};
    }
    std::byte* const copy = copies.sources[source];
    const BufferedTile place =
        copy == nullptr ? tile_in(buffer, tile) : tile_in_copy(copy, tile, copies.channels);
    const std::byte* const end =
        copy == nullptr ? buffer + tile_bytes(tile.channel_count())
                        : copy + group_bytes(copies.channels.end - copies.channels.begin);
    if (!copies.are_complete) {
        access.copy_to(place, tile);
    }
    return {place.address, along_rows ? place.channel_stride : 0,
            along_rows ? 0 : place.element_stride * columns_per_channel_, end, 0};
}

bool Traversal::target_lines_up(const Tile& tile) const {
    if (layout_class_ == LayoutClass::channels_first) {
        return !has_short_rows() || tile.channel_count() == 1;
    }
    const std::byte* const first = target_.at({tile.channels.begin, 0, tile.first});
    return target_.elements.is_one_axis() &&
           reinterpret_cast<std::uintptr_t>(first) % cache_line == 0 &&
           target_.elements.stride() * columns_per_channel_ % cache_line == 0;
}

TargetTile Traversal::target_tile(const Tile& tile, std::byte* buffer, bool& is_buffered) const {
    is_buffered = !target_.is_direct || (bypasses_cache_ && !target_lines_up(tile));
    const bool rows_are_channels = layout_class_ == LayoutClass::channels_first;
    if (is_buffered) {
        const BufferedTile place = tile_in(buffer, tile);
        return {place.address, rows_are_channels ? place.channel_stride : 0,
                rows_are_channels ? 0 : place.element_stride * columns_per_channel_, false, true};
    }
    std::byte* const first = target_.at(tile.begin());
    if (rows_are_channels) {
        return {first, target_.channel_stride, target_.rows.stride(), bypasses_cache_};
    }
    return {first, 0, target_.elements.stride() * columns_per_channel_, bypasses_cache_};
}

void Traversal::write_back(const Tile& tile, const Buffers& buffers) const {
    const BufferedTile place = tile_in(buffers.target, tile);
    if (bypasses_cache_) {
        // What was read is done with.
        target_.stream_from(place, tile, buffers.sources[0]);
    } else {
        target_.copy_from(place, tile);
    }
}

Traversal::BlockExtent Traversal::extent_of(std::int64_t block) const {
    if (!order_.rows_are_split()) {
        const std::int64_t row = block * order_.rows_per_block();
        return {row, std::min(row + order_.rows_per_block(), order_.row_count), 0,
                order_.row_length};
    }
    const std::int64_t pieces = order_.blocks_per_row();
    const std::int64_t first = block % pieces * order_.elements_per_block();
    return {block / pieces, block / pieces + 1, first,
            std::min(first + order_.elements_per_block(), order_.row_length)};
}

Traversal::TileDemands Traversal::demands_of(const SourceChoice& sources, bool with_target,
                                             const ChannelRange& channels,
                                             const BlockExtent& block) const {
    TileDemands demands{buffers_mask(), false, true, order_.row_length};
    const auto consider = [&](const TensorAccess& access) {
        demands.stages = demands.stages || !access.is_direct;
        demands.rows_are_regular = demands.rows_are_regular && access.rows.is_one_axis();
        if (access.is_direct && !access.elements.is_one_axis()) {
            demands.rows_are_regular = false;
            demands.run = std::gcd(demands.run, access.elements.run_length(0, order_.row_length));
        }
    };
    for (std::size_t source = 0; source < sources.count; ++source) {
        consider(sources_[sources.index[source]]);
    }
    if (with_target) {
        consider(target_);
        const Tile whole{channels, block.row, 1, block.first, block.end - block.first, {}};
        demands.buffers_target = bypasses_cache_ && !target_lines_up(whole);
    }
    return demands;
}

template <typename Function>
void Traversal::for_each_tile(const SourceChoice& sources, bool with_target,
                              const ChannelRange& channels, std::int64_t index,
                              const Function& function) const {
    const BlockExtent block = extent_of(index);
    const std::int64_t count = block.end - block.first;
    const std::int64_t rows = block.row_end - block.row;
    const std::int64_t channel_count = channels.end - channels.begin;
    const TileDemands demands = demands_of(sources, with_target, channels, block);
    // One channel's rows, or so few that the order in which they are read does not matter.
    const bool is_small = channel_count * rows * bytes_per_row() <= smallest_ordered_bytes;
    if (!demands.stages && !demands.buffers_target && demands.rows_are_regular &&
        (channel_count == 1 || is_small)) {
        const ElementPosition begin{channels.begin, block.row, block.first};
        function(Tile{channels, block.row, rows, block.first, count, begin});
        return;
    }
    const TileSize size = tile_size(channel_count, std::min(demands.run, count), demands);
    const auto tile_at = [&](const ElementPosition& begin) {
        const std::int64_t last = std::min(begin.channel + size.channels, channels.end);
        const std::int64_t length = std::min(
            {size.elements, demands.run - begin.index % demands.run, block.end - begin.index});
        const std::int64_t rows_left = block.row_end - begin.row;
        const std::int64_t tile_rows = std::min(size.rows, rows_left);
        Tile tile{{begin.channel, last}, begin.row, tile_rows, begin.index, length, begin};
        if (begin.index + length < block.end) {
            tile.next.index += length;
        } else if (last < channels.end) {
            tile.next = {last, begin.row, block.first};
        } else if (tile.rows < rows_left) {
            tile.next = {channels.begin, begin.row + tile.rows, block.first};
        }
        return tile;
    };
    Tile tile = tile_at({channels.begin, block.row, block.first});
    function(tile);
    while (tile.next != tile.begin()) {
        tile = tile_at(tile.next);
        function(tile);
    }
}

template <typename Call>
void Traversal::call_columns(const Tile& tile, const Call& call) const {
    const std::int64_t channels = tile.channel_count();
    const std::int64_t full_rows = tile.count / columns_per_channel_;
    const std::int64_t rest = tile.count % columns_per_channel_;
    if (full_rows > 0) {
        call(TileExtent{1, full_rows, columns_per_channel_ * channels}, std::int64_t{0});
    }
    if (rest > 0) {
        call(TileExtent{1, 1, rest * channels}, full_rows);
    }
}

void Traversal::reduce(const RowsAndColumns<Reduce>& kernel, const ChannelRange& channels,
                       const BlockRange& blocks, const double* centers, const GroupCopies& copies,
                       double* sums, Scratch& scratch) const {
    const Scratch::Frame frame(scratch);
    const std::int64_t count = channels.end - channels.begin;
    const std::int64_t values = values_per_group(count);
    const bool along_rows = layout_class_ == LayoutClass::channels_first;
    const std::int64_t lane_count = along_rows ? 2 * lanes_per_step * count : 2 * values;
    auto* const lanes = scratch.take<double>(lane_count);
    auto* const block_sums = scratch.take<double>(2 * values);
    BlockSums tree(
        scratch.take<double>(2 * values * BlockSums::levels_for(blocks.end - blocks.begin)),
        2 * values);
    const Buffers buffers = take_buffers(count, scratch);

    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
        stop_if_interrupted();
        double* const totals = along_rows ? lanes : block_sums;
        std::memset(
            totals, 0,
            static_cast<std::size_t>(along_rows ? lane_count : 2 * values) * sizeof(double));
        for_each_tile(reduced_, false, channels, block, [&](const Tile& tile) {
            std::array<SourceTile, most_sources> sources;
            for (std::size_t source = 0; source < reduced_.count; ++source) {
                const std::size_t index = reduced_.index[source];
                sources[source] = source_tile(index, tile, buffers.sources[index], copies);
            }
            const MaskTile mask =
                mask_ && !mask_is_written_ ? mask_tile(tile, buffers.mask) : MaskTile{};
            if (along_rows) {
                const std::int64_t skipped = tile.channels.begin - channels.begin;
                kernel.rows({tile.channel_count(), tile.rows, tile.count}, sources.data(), mask,
                            centers + skipped,
                            {totals + 2 * lanes_per_step * skipped, lanes_per_step});
                return;
            }
            call_columns(tile, [&](const TileExtent& extent, std::int64_t first_row) {
                std::array<SourceTile, most_sources> shifted = sources;
                for (SourceTile& source : shifted) {
                    source.address += first_row * source.row_stride;
                }
                kernel.columns(extent, shifted.data(), shifted_by(mask, first_row), centers,
                               {totals, values});
            });
        });
        if (along_rows) {
            for (std::int64_t channel = 0; channel < count; ++channel) {
                for (std::int64_t sum = 0; sum < 2; ++sum) {
                    // A copy, which stays in registers.
                    std::array<double, lanes_per_step> of_channel;
                    std::copy_n(lanes + (2 * channel + sum) * lanes_per_step, lanes_per_step,
                                of_channel.begin());
                    block_sums[sum * values + channel] = fold_lanes(of_channel.data());
                }
            }
        } else {
            fold_lanes(block_sums, count, columns_per_channel_);
            fold_lanes(block_sums + values, count, columns_per_channel_);
        }
        tree.append(block_sums);
    }
    tree.total(sums);
}

void Traversal::apply(const RowsAndColumns<Apply>& kernel, const ChannelRange& channels,
                      const BlockRange& blocks, const void* coefficients, const GroupCopies& copies,
                      Scratch& scratch) const {
    const Scratch::Frame frame(scratch);
    const std::int64_t count = channels.end - channels.begin;
    const ChannelValues values{coefficients, values_per_group(count), 0};
    const bool along_rows = layout_class_ == LayoutClass::channels_first;
    const Buffers buffers = take_buffers(count, scratch);
    // The last blocks that were read are the likeliest to be in a cache still.
    for (std::int64_t block = blocks.end; block-- > blocks.begin;) {
        stop_if_interrupted();
        for_each_tile(applied_, true, channels, block, [&](const Tile& tile) {
            std::array<SourceTile, most_sources> sources;
            for (std::size_t source = 0; source < applied_.count; ++source) {
                const std::size_t index = applied_.index[source];
                sources[source] = source_tile(index, tile, buffers.sources[index], copies);
            }
            bool is_buffered = false;
            const TargetTile target = target_tile(tile, buffers.target, is_buffered);
            const MaskTile mask = mask_ ? mask_tile(tile, buffers.mask) : MaskTile{};
            if (along_rows) {
                kernel.rows({tile.channel_count(), tile.rows, tile.count}, sources.data(), mask,
                            {coefficients, values.stride, tile.channels.begin - channels.begin},
                            target);
            } else {
                call_columns(tile, [&](const TileExtent& extent, std::int64_t first_row) {
                    std::array<SourceTile, most_sources> shifted = sources;
                    for (SourceTile& source : shifted) {
                        source.address += first_row * source.row_stride;
                    }
                    TargetTile shifted_target = target;
                    shifted_target.address += first_row * target.row_stride;
                    kernel.columns(extent, shifted.data(), shifted_by(mask, first_row), values,
                                   shifted_target);
                });
            }
            if (is_buffered && target_.address != nullptr) {
                write_back(tile, buffers);
            }
            if (shares_mask_bytes()) {
                mask_->copy_from_buffer(region_of(tile), buffers.mask);
            }
        });
    }
    if (bypasses_cache_) {
        finish_streams();
    }
}

bool Traversal::joins_rows() const {
    const auto joins = [&](const TensorAccess& access) {
        return access.is_direct && access.elements.is_one_axis() && access.rows.is_one_axis() &&
               access.channel_stride == bytes_per_row();
    };
    bool all = layout_class_ == LayoutClass::channels_first && has_short_rows() && !mask_ &&
               order_.row_count >= fewest_joined_rows && joins(target_) &&
               (!bypasses_cache_ || target_.rows.stride() % cache_line == 0);
    // Elements at an odd address never begin a cache line.
    all = all && reinterpret_cast<std::uintptr_t>(target_.address) % size_ == 0;
    for (std::size_t source = 0; source < applied_.count; ++source) {
        all = all && joins(sources_[applied_.index[source]]);
    }
    return all;
}

void Traversal::apply_joined(Apply kernel, const ChannelRange& channels, const void* coefficients,
                             std::int64_t stride) const {
    const auto size = static_cast<std::int64_t>(size_);
    const ElementPosition begin{channels.begin, 0, 0};
    const auto apply_rows = [&](std::int64_t row, std::int64_t rows, std::int64_t first,
                                std::int64_t end, bool bypasses_cache) {
        std::array<SourceTile, most_sources> sources;
        for (std::size_t source = 0; source < applied_.count; ++source) {
            const TensorAccess& access = sources_[applied_.index[source]];
            sources[source] = {access.at(begin) + row * access.rows.stride() + first * size, 0,
                               access.rows.stride(), access.readable_end, 0};
        }
        kernel({1, rows, end - first}, sources.data(), {}, {coefficients, stride, first},
               {target_.at(begin) + row * target_.rows.stride() + first * size, 0,
                target_.rows.stride(), bypasses_cache});
    };
    const auto apply_columns = [&](std::int64_t first, std::int64_t end, bool bypasses_cache) {
        constexpr std::int64_t rows_between_polls = 4096;
        for (std::int64_t row = 0; row < order_.row_count; row += rows_between_polls) {
            stop_if_interrupted();
            apply_rows(row, std::min(rows_between_polls, order_.row_count - row), first, end,
                       bypasses_cache);
        }
    };
    const std::int64_t columns = joined_columns(channels.end - channels.begin);
    const auto past_line = reinterpret_cast<std::uintptr_t>(target_.at(begin)) % cache_line;
    const std::int64_t to_line =
        (cache_line - static_cast<std::int64_t>(past_line)) % cache_line / size;
    const std::int64_t head = bypasses_cache_ ? std::min(to_line, columns) : 0;
    if (head > 0) {
        apply_columns(0, head, false);
    }
    for (std::int64_t first = head; first < columns; first += joined_stripe) {
        apply_columns(first, std::min(first + joined_stripe, columns), bypasses_cache_);
    }
    if (bypasses_cache_) {
        finish_streams();
    }
}

}  // namespace normgraph::kernel::simd
