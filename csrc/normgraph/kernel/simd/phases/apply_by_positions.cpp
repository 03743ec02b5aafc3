#include <algorithm>
#include <cstring>

#include "normgraph/kernel/counted_positions.hpp"
#include "normgraph/kernel/simd/phases/apply_tile.hpp"
#include "normgraph/kernel/simd/phases/phases.hpp"
#include "normgraph/kernel/simd/staging/element_lines.hpp"
#include "normgraph/kernel/simd/staging/tile_buffer.hpp"
#include "normgraph/kernel/strided/copy.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::simd {
namespace {

enum class Counted : std::uint8_t { all, none, some };

/// Elements that are told apart one by one rather than in extents of their own, which cost more.
constexpr std::int64_t elements_in_grain = 512;

/// Applies to one group of channels.
class ByPositions {
public:
    ByPositions(const Traversal& traversal, const ApplicationByPositions& application,
                const ChannelRange& channels, const Coefficients& coefficients,
                const GroupCopies& copies, Scratch& scratch)
        : traversal_(traversal),
          geometry_(traversal.geometry()),
          positions_(*traversal.positions()),
          application_(application),
          channels_(channels),
          coefficients_(coefficients),
          copies_(copies),
          buffers_(traversal.take_buffers(channels.end - channels.begin, scratch)),
          products_(geometry_, channels.end - channels.begin, scratch) {}

    void apply(const BlockExtent& part) const {
        if (const Counted counted = counted_in(part); counted != Counted::some) {
            return apply_to(part, counted);
        }
        for (std::int64_t row = part.row; row < part.row_end; ++row) {
            apply_to_row({row, row + 1, part.first, part.end});
        }
    }

private:
    Counted counted_in(const BlockExtent& extent) const {
        const std::int64_t count = traversal_.counted_in(extent);
        return count == 0                        ? Counted::none
               : count == extent.element_count() ? Counted::all
                                                 : Counted::some;
    }

    /// Positions that are looked at together: tiles of a mask begin with whole bytes.
    std::int64_t grain() const {
        const bool takes_any_element = !geometry_.is_along_rows() &&
                                       geometry_.columns_per_channel() == 1 &&
                                       application_.uncounted.select.rows == nullptr;
        return takes_any_element ? std::max<std::int64_t>(1, elements_in_grain / geometry_.channels)
                                 : most_lanes;
    }

    /// Grains of a row that are alike are taken together.
    void apply_to_row(const BlockExtent& row) const {
        const std::int64_t step = grain();
        BlockExtent run = row;
        for (std::int64_t first = row.first; first < row.end; first = run.end) {
            const auto grain_at = [&](std::int64_t begin) {
                return BlockExtent{row.row, row.row_end, begin, std::min(begin + step, row.end)};
            };
            run = grain_at(first);
            const Counted counted = counted_in(run);
            while (run.end < row.end && counted_in(grain_at(run.end)) == counted) {
                run.end = grain_at(run.end).end;
            }
            apply_to(run, counted);
        }
    }

    void apply_to(const BlockExtent& extent, Counted counted) const {
        stop_if_interrupted();
        // Only what does not go through `products_` may be of any size.
        const bool fits_buffers = counted == Counted::some || needs_selection(counted);
        traversal_.tiles(Phase::apply, channels_, extent, copies_, fits_buffers)
            .for_each([&](const Tile& tile) {
                StagedTile staged = traversal_.stage(Phase::apply, tile, buffers_, copies_);
                if (counted == Counted::all) {
                    apply_counted(tile, staged);
                } else if (counted == Counted::none) {
                    apply_uncounted(tile, staged, staged.target);
                } else {
                    apply_to_some(tile, staged);
                }
                traversal_.write_back(tile, staged, buffers_);
            });
    }

    bool needs_selection(Counted counted) const {
        return counted == Counted::none && application_.uncounted.select.rows != nullptr;
    }

    void apply_counted(const Tile& tile, const StagedTile& staged) const {
        apply_tile(geometry_, application_.counted, tile, staged, coefficients_of(tile, 0));
    }

    /// The products first: the target may be where the gradient lies.
    void apply_to_some(const Tile& tile, StagedTile& staged) const {
        const TargetTile products = product_tile(tile);
        apply_uncounted(tile, staged, products);
        // What is written again here must not be on its way to memory.
        staged.target.streams = false;
        apply_counted(tile, staged);
        for_each_line(geometry_, tile, [&](const ElementLine& line) {
            copy_uncounted(tile, line, address_of(geometry_, products, line),
                           address_of(geometry_, staged.target, line));
        });
    }

    void copy_uncounted(const Tile& tile, const ElementLine& line, const std::byte* products,
                        std::byte* target) const {
        const auto size = static_cast<std::size_t>(geometry_.element_size());
        const std::byte* const counts =
            positions_.at(geometry_.order, tile.row + line.row, tile.first + line.element);
        if (!geometry_.is_along_rows()) {
            if (*counts == std::byte{0}) {
                std::memcpy(target, products, static_cast<std::size_t>(line.length) * size);
            }
            return;
        }
        for (std::int64_t element = 0; element < line.length;
             ++element, products += size, target += size) {
            if (counts[element] == std::byte{0}) {
                std::memcpy(target, products, size);
            }
        }
    }

    void apply_uncounted(const Tile& tile, const StagedTile& staged,
                         const TargetTile& target) const {
        const UncountedApplication& application = application_.uncounted;
        StagedTile gradient = staged;
        gradient.sources[0] = staged.sources[1];
        if (application.select.rows != nullptr) {
            gradient.target = product_tile(tile);
            apply_tile(geometry_, application.select, tile, gradient, {});
            gradient.sources[0] = {gradient.target.address, gradient.target.channel_stride,
                                   gradient.target.row_stride, nullptr, 0};
        }
        gradient.target = target;
        apply_tile(geometry_, application.scale, tile, gradient,
                   coefficients_of(tile, application.coefficient));
    }

    ChannelValues coefficients_of(const Tile& tile, std::int64_t coefficient) const {
        const std::int64_t size =
            geometry_.has_chains() ? std::int64_t{sizeof(float)} : geometry_.element_size();
        return {static_cast<const std::byte*>(coefficients_.values) +
                    coefficient * coefficients_.stride * size,
                coefficients_.stride, tile.channels.begin - channels_.begin};
    }

    TargetTile product_tile(const Tile& tile) const {
        return {products_.address(), products_.channel_stride(tile), products_.row_stride(tile),
                false, products_.end()};
    }

    const Traversal& traversal_;
    const Geometry& geometry_;
    const CountedPositions& positions_;
    const ApplicationByPositions& application_;
    ChannelRange channels_;
    Coefficients coefficients_;
    const GroupCopies& copies_;
    TileBuffers buffers_;
    TileBuffer products_;  ///< of the gradient and its coefficient
};

}  // namespace

void apply_by_positions(const Traversal& traversal, const ApplicationByPositions& application,
                        const ChannelRange& channels, const BlockRange& blocks,
                        const Coefficients& coefficients, const GroupCopies& copies,
                        Scratch& scratch) {
    const Scratch::Frame frame(scratch);
    const ByPositions by_positions(traversal, application, channels, coefficients, copies, scratch);
    // What was read last is the likeliest to be in a cache still.
    traversal.geometry().for_each_part_backwards(
        blocks, [&](const BlockExtent& part) { by_positions.apply(part); });
    if (traversal.streams_target()) {
        finish_streams();
    }
}

}  // namespace normgraph::kernel::simd
