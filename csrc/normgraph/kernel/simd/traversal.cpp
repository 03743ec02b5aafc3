#include "normgraph/kernel/simd/traversal.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "normgraph/kernel/simd/block_sums.hpp"
#include "normgraph/kernel/simd/copy_tile.hpp"

namespace normgraph::kernel::simd {
namespace {

/// A tile in a buffer: with three tensors they stay in a second-level cache.
constexpr std::int64_t staged_tile_bytes = std::int64_t{32} * 1024;

/// Rows that are computed into a buffer before they are written past the cache.
constexpr std::int64_t buffered_rows_bytes = std::int64_t{8} * 1024;

/// Below this the target is likely to be read again from the cache.
constexpr std::int64_t smallest_streamed_tensor = std::int64_t{4} * 1024 * 1024;

/// In the first-level cache, rows may be read in any order.
constexpr std::int64_t smallest_ordered_bytes = std::int64_t{16} * 1024;

/// In longer runs the processor's own prefetching is faster than ours. In shorter ones it begins
/// anew too often, so what lies some way ahead is asked for: it is of the same run or, at its end,
/// of the next group of channels, which finds it in the second-level cache.
constexpr std::int64_t shortest_run_that_prefetches_itself = std::int64_t{16} * 1024;
constexpr std::int64_t bytes_ahead = std::int64_t{4} * 1024;

/// One past the last byte of the tensor.
const std::byte* end_of(const Problem& problem, const std::byte* address,
                        std::span<const std::int64_t> strides, std::size_t size) {
    for (std::size_t axis = 0; axis < strides.size(); ++axis) {
        address += std::max<std::int64_t>(0, (problem.shape[axis] - 1) * strides[axis]);
    }
    return address + size;
}

/// Upper half of the lanes onto the lower half until one is left.
double folded(const double* lanes) {
    std::array<double, chunk> sums;
    std::copy_n(lanes, chunk, sums.begin());
    for (std::size_t half = chunk / 2; half > 0; half /= 2) {
        for (std::size_t lane = 0; lane < half; ++lane) {
            sums[lane] += sums[lane + half];
        }
    }
    return sums[0];
}

/// The same where every lane has `width` values side by side, in place.
void fold(double* lanes, std::int64_t lane_count, std::int64_t width) {
    for (std::int64_t half = lane_count / 2; half > 0; half /= 2) {
        for (std::int64_t index = 0; index < half * width; ++index) {
            lanes[index] += lanes[index + half * width];
        }
    }
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
    const auto channel_axis = static_cast<std::size_t>(problem.channel_axis);
    std::int64_t outer = 1, inner = 1;
    for (std::size_t axis = 0; axis < problem.shape.size(); ++axis) {
        if (axis != channel_axis) {
            (axis < channel_axis ? outer : inner) *= problem.shape[axis];
        }
    }
    order_ = summation_order(layout_class_, outer, channels_, inner);
    columns_per_channel_ = layout_class_ == LayoutClass::channels_last ? order_.lanes : 1;
    if (elements_per_channel() == 0) {
        return;
    }
    for (std::size_t source = 0; source < source_count_; ++source) {
        const ConstTensor& tensor = tensors.sources[source];
        sources_[source].address = const_cast<std::byte*>(tensor.address);
        read_axes(problem, tensor.strides, sources_[source]);
        // Other threads may be writing what lies beyond a row of a source that is the target too.
        if (tensor.address != tensors.target.address) {
            sources_[source].readable_end = end_of(problem, tensor.address, tensor.strides, size_);
        }
        copies_across_ = copies_across_ || is_copied_across(sources_[source]);
    }
    if (tensors.target.address != nullptr) {
        target_.address = tensors.target.address;
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
        (is_row ? access.rows : access.elements).append(problem.shape[axis], strides[axis]);
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
    if (!access.elements.is_one_axis()) {
        return false;
    }
    if (layout_class_ == LayoutClass::channels_first) {
        return order_.row_length == 1 || access.elements.stride() == size;
    }
    const bool channels_are_contiguous = channels_ == 1 || access.channel_stride == size;
    // Lanes are columns, so rows of elements have to follow each other.
    return channels_are_contiguous &&
           (order_.lanes == 1 || access.elements.stride() == channels_ * size ||
            order_.row_length == 1);
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
    return std::max<std::int64_t>(chunk, staged_tile_bytes / per_element / chunk * chunk);
}

Traversal::TileSize Traversal::tile_size(std::int64_t channels, std::int64_t elements, bool stages,
                                         bool is_buffered) const {
    if (!stages && !is_buffered) {
        return {channels, elements};
    }
    if (stages || layout_class_ == LayoutClass::channels_last) {
        return {channels, elements_per_staged_tile(channels)};
    }
    // Whole rows of as many channels as the first-level cache holds.
    const std::int64_t row_bytes = elements * static_cast<std::int64_t>(size_);
    const std::int64_t rows = in_whole_lines(buffered_rows_bytes / row_bytes);
    return rows == 0 ? TileSize{1, elements_per_staged_tile(1)}
                     : TileSize{std::min(rows, channels), elements};
}

std::int64_t Traversal::tile_bytes(std::int64_t channels) const {
    const std::int64_t smallest = channels * static_cast<std::int64_t>(size_) * chunk;
    // And a vector beyond the last element. What fewer channels take is never more.
    return std::max(staged_tile_bytes, smallest) + cache_line;
}

std::size_t Traversal::scratch_bytes(std::int64_t channels, std::int64_t blocks) const {
    const std::int64_t values = values_per_group(channels);
    const std::int64_t lanes =
        layout_class_ == LayoutClass::channels_first ? 2 * chunk * channels : 2 * values;
    const std::int64_t doubles = lanes + 2 * values * (1 + BlockSums::levels_for(blocks));
    return static_cast<std::size_t>(doubles) * sizeof(double) + 3 * Scratch::line +
           3 * Scratch::rounded(static_cast<std::size_t>(tile_bytes(channels))) +
           Scratch::rounded(static_cast<std::size_t>(mask_bytes(channels)));
}

std::int64_t Traversal::mask_bytes(std::int64_t channels) const {
    // As many bits as a staged tile has elements at most, for fewer channels too, and rounding.
    const std::int64_t elements = std::max(staged_tile_bytes / 2, chunk * channels);
    return MaskAccess::buffer_bytes(channels, 0) + elements / 8 + elements;
}

void Traversal::set_mask(std::byte* address, const Problem& problem, bool is_written) {
    mask_.emplace(address, problem, layout_class_, order_);
    mask_is_written_ = is_written;
    copies_across_ = copies_across_ || !mask_->is_direct();
    if (shares_mask_bytes()) {
        std::memset(address, 0, static_cast<std::size_t>(mask_->byte_count()));
    }
}

MaskRegion Traversal::region_of(const Tile& tile) const {
    return {tile.channels.begin, tile.channels.end - tile.channels.begin, tile.row, tile.first,
            tile.count};
}

MaskTile Traversal::mask_tile(const Tile& tile, std::byte* buffer) const {
    const MaskRegion region = region_of(tile);
    if (mask_->is_direct()) {
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
    if (mask_ && !mask_->is_direct()) {
        buffers.mask = scratch.take<std::byte>(mask_bytes(channels));
    }
    return buffers;
}

Traversal::BufferStrides Traversal::buffer_strides(std::int64_t channels,
                                                   std::int64_t elements) const {
    const auto size = static_cast<std::int64_t>(size_);
    if (layout_class_ == LayoutClass::channels_first) {
        return {elements * size, size};
    }
    return {size, channels * size};
}

std::int64_t Traversal::prefetch_distance(const Tile& tile) const {
    const std::int64_t run = (tile.channels.end - tile.channels.begin) * bytes_per_row();
    return run >= shortest_run_that_prefetches_itself ? 0 : bytes_ahead;
}

SourceTile Traversal::source_tile(std::size_t source, const Tile& tile, std::byte* buffer) const {
    const TensorAccess& access = sources_[source];
    std::byte* const origin = access.address + access.rows.offset_of(tile.row) +
                              tile.channels.begin * access.channel_stride;
    if (access.is_direct) {
        const std::byte* const first = origin + access.elements.offset_of(tile.first);
        if (layout_class_ == LayoutClass::channels_first) {
            return {first, access.channel_stride, access.rows.stride(), access.readable_end,
                    prefetch_distance(tile)};
        }
        return {first, 0, access.elements.stride() * columns_per_channel_, access.readable_end, 0};
    }
    const std::int64_t channels = tile.channels.end - tile.channels.begin;
    const BufferStrides strides = buffer_strides(channels, tile.count);
    std::int64_t done = 0;
    while (done < tile.count) {
        const std::int64_t run = access.elements.run_length(tile.first + done, tile.count - done);
        const std::byte* const from = origin + access.elements.offset_of(tile.first + done);
        std::byte* const to = buffer + done * strides.element;
        const std::int64_t step = access.elements.stride();
        // The inner loop goes along what is contiguous in the source.
        if (std::abs(step) < std::abs(access.channel_stride) || channels == 1) {
            copy_plane({to, strides.channel, strides.element}, {from, access.channel_stride, step},
                       channels, run, size_);
        } else {
            copy_plane({to, strides.element, strides.channel}, {from, step, access.channel_stride},
                       run, channels, size_);
        }
        done += run;
    }
    const bool rows_are_channels = layout_class_ == LayoutClass::channels_first;
    return {buffer, rows_are_channels ? strides.channel : 0,
            rows_are_channels ? 0 : strides.element * columns_per_channel_,
            buffer + tile_bytes(channels), 0};
}

bool Traversal::target_lines_up(const Tile& tile) const {
    if (layout_class_ == LayoutClass::channels_first) {
        return !has_short_rows() || tile.channels.end - tile.channels.begin == 1;
    }
    const std::byte* const first = target_.address + target_.elements.offset_of(tile.first) +
                                   tile.channels.begin * target_.channel_stride;
    return reinterpret_cast<std::uintptr_t>(first) % cache_line == 0 &&
           target_.elements.stride() * columns_per_channel_ % cache_line == 0;
}

TargetTile Traversal::target_tile(const Tile& tile, std::byte* buffer, bool& is_buffered) const {
    is_buffered = !target_.is_direct || (bypasses_cache_ && !target_lines_up(tile));
    const bool rows_are_channels = layout_class_ == LayoutClass::channels_first;
    if (is_buffered) {
        const BufferStrides strides =
            buffer_strides(tile.channels.end - tile.channels.begin, tile.count);
        return {buffer, rows_are_channels ? strides.channel : 0,
                rows_are_channels ? 0 : strides.element * columns_per_channel_, false, true};
    }
    std::byte* const first = target_.address + target_.rows.offset_of(tile.row) +
                             target_.elements.offset_of(tile.first) +
                             tile.channels.begin * target_.channel_stride;
    if (rows_are_channels) {
        return {first, target_.channel_stride, target_.rows.stride(), bypasses_cache_};
    }
    return {first, 0, target_.elements.stride() * columns_per_channel_, bypasses_cache_};
}

void Traversal::write_back(const Tile& tile, const std::byte* buffer) const {
    const std::int64_t channels = tile.channels.end - tile.channels.begin;
    const BufferStrides strides = buffer_strides(channels, tile.count);
    std::byte* const origin = target_.address + target_.rows.offset_of(tile.row) +
                              tile.channels.begin * target_.channel_stride;
    std::int64_t done = 0;
    while (done < tile.count) {
        const std::int64_t run = target_.elements.run_length(tile.first + done, tile.count - done);
        std::byte* const to = origin + target_.elements.offset_of(tile.first + done);
        const std::byte* const from = buffer + done * strides.element;
        const std::int64_t step = target_.elements.stride();
        const auto write = bypasses_cache_ ? stream_plane : copy_plane;
        // The inner loop goes along what is contiguous in the target.
        if (std::abs(step) < std::abs(target_.channel_stride) || channels == 1) {
            write({to, target_.channel_stride, step}, {from, strides.channel, strides.element},
                  channels, run, size_);
        } else {
            write({to, step, target_.channel_stride}, {from, strides.element, strides.channel}, run,
                  channels, size_);
        }
        done += run;
    }
}

template <typename Function>
void Traversal::for_each_tile(const SourceChoice& sources, bool with_target,
                              const ChannelRange& channels, std::int64_t block,
                              const Function& function) const {
    const std::int64_t channel_count = channels.end - channels.begin;
    const bool is_split = order_.rows_are_split();
    const std::int64_t pieces = is_split ? order_.blocks_per_row() : 1;
    const std::int64_t first = is_split ? block % pieces * order_.elements_per_block() : 0;
    const std::int64_t end = is_split
                                 ? std::min(first + order_.elements_per_block(), order_.row_length)
                                 : order_.row_length;
    const std::int64_t row = is_split ? block / pieces : block * order_.rows_per_block();
    const std::int64_t row_end =
        is_split ? row + 1 : std::min(row + order_.rows_per_block(), order_.row_count);

    bool stages = mask_ && !mask_->is_direct();
    bool is_buffered = false;
    bool rows_are_regular = true;
    for (std::size_t source = 0; source < sources.count; ++source) {
        const TensorAccess& access = sources_[sources.index[source]];
        stages = stages || !access.is_direct;
        rows_are_regular = rows_are_regular && access.rows.is_one_axis();
    }
    if (with_target) {
        const Tile whole{channels, row, 1, first, end - first};
        stages = stages || !target_.is_direct;
        is_buffered = bypasses_cache_ && !target_lines_up(whole);
        rows_are_regular = rows_are_regular && target_.rows.is_one_axis();
    }
    // One channel's rows, or so few that the order in which they are read does not matter.
    const bool is_small =
        channel_count * (row_end - row) * bytes_per_row() <= smallest_ordered_bytes;
    if (!stages && !is_buffered && rows_are_regular && (channel_count == 1 || is_small)) {
        function(Tile{channels, row, row_end - row, first, end - first});
        return;
    }
    const TileSize size = tile_size(channel_count, end - first, stages, is_buffered);
    for (std::int64_t r = row; r < row_end; ++r) {
        for (std::int64_t channel = channels.begin; channel < channels.end;
             channel += size.channels) {
            const std::int64_t last = std::min(channel + size.channels, channels.end);
            for (std::int64_t at = first; at < end; at += size.elements) {
                function(Tile{{channel, last}, r, 1, at, std::min(size.elements, end - at)});
            }
        }
    }
}

template <typename Call>
void Traversal::call_columns(const Tile& tile, const Call& call) const {
    const std::int64_t channels = tile.channels.end - tile.channels.begin;
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
                       const BlockRange& blocks, const double* centers, double* sums,
                       Scratch& scratch) const {
    const Scratch::Frame frame(scratch);
    const std::int64_t count = channels.end - channels.begin;
    const std::int64_t values = values_per_group(count);
    const bool along_rows = layout_class_ == LayoutClass::channels_first;
    const std::int64_t lane_count = along_rows ? 2 * chunk * count : 2 * values;
    auto* const lanes = scratch.take<double>(lane_count);
    auto* const block_sums = scratch.take<double>(2 * values);
    BlockSums tree(
        scratch.take<double>(2 * values * BlockSums::levels_for(blocks.end - blocks.begin)),
        2 * values);
    const Buffers buffers = take_buffers(count, scratch);

    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
        double* const totals = along_rows ? lanes : block_sums;
        std::memset(
            totals, 0,
            static_cast<std::size_t>(along_rows ? lane_count : 2 * values) * sizeof(double));
        for_each_tile(reduced_, false, channels, block, [&](const Tile& tile) {
            std::array<SourceTile, most_sources> sources;
            for (std::size_t source = 0; source < reduced_.count; ++source) {
                const std::size_t index = reduced_.index[source];
                sources[source] = source_tile(index, tile, buffers.sources[index]);
            }
            const MaskTile mask =
                mask_ && !mask_is_written_ ? mask_tile(tile, buffers.mask) : MaskTile{};
            if (along_rows) {
                const std::int64_t skipped = tile.channels.begin - channels.begin;
                kernel.rows({tile.channels.end - tile.channels.begin, tile.rows, tile.count},
                            sources.data(), mask, centers + skipped,
                            {totals + 2 * chunk * skipped, chunk});
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
                    block_sums[sum * values + channel] =
                        folded(lanes + (2 * channel + sum) * chunk);
                }
            }
        } else {
            fold(block_sums, columns_per_channel_, count);
            fold(block_sums + values, columns_per_channel_, count);
        }
        tree.append(block_sums);
    }
    tree.total(sums);
}

void Traversal::apply(const RowsAndColumns<Apply>& kernel, const ChannelRange& channels,
                      const BlockRange& blocks, const void* coefficients, Scratch& scratch) const {
    const Scratch::Frame frame(scratch);
    const std::int64_t count = channels.end - channels.begin;
    const ChannelValues values{coefficients, values_per_group(count), 0};
    const bool along_rows = layout_class_ == LayoutClass::channels_first;
    const Buffers buffers = take_buffers(count, scratch);
    // The last blocks that were read are the likeliest to be in a cache still.
    for (std::int64_t block = blocks.end; block-- > blocks.begin;) {
        for_each_tile(applied_, true, channels, block, [&](const Tile& tile) {
            std::array<SourceTile, most_sources> sources;
            for (std::size_t source = 0; source < applied_.count; ++source) {
                const std::size_t index = applied_.index[source];
                sources[source] = source_tile(index, tile, buffers.sources[index]);
            }
            bool is_buffered = false;
            const TargetTile target = target_tile(tile, buffers.target, is_buffered);
            const MaskTile mask = mask_ ? mask_tile(tile, buffers.mask) : MaskTile{};
            if (along_rows) {
                kernel.rows({tile.channels.end - tile.channels.begin, tile.rows, tile.count},
                            sources.data(), mask,
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
            if (is_buffered) {
                write_back(tile, buffers.target);
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

}  // namespace normgraph::kernel::simd
