#include "normgraph/kernel/simd/staging/slabs.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <vector>

#include "normgraph/indices/counts.hpp"
#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/kernel/strided/ranges.hpp"
#include "normgraph/kernel/tuning.hpp"

namespace normgraph::kernel::simd {
namespace {

constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();

/// The distance of neighbours along an axis; none if they are one.
std::int64_t distance_along(std::int64_t length, std::int64_t stride) {
    return length == 1 || stride == 0 ? none : std::abs(stride);
}

/// An axis of a tensor. Tiles have one row, and elements of the two innermost axes side by side.
struct TileAxis {
    std::int64_t distance, length;
    bool is_in_tile;
};

/// The rows of one step along an axis of rows.
std::int64_t rows_within(const Problem& problem, std::size_t axis) {
    const auto channel_axis = static_cast<std::size_t>(problem.channel_axis);
    return axis > channel_axis ? 1
                               : product(problem.shape.subspan(axis + 1, channel_axis - axis - 1));
}

}  // namespace

bool lies_across_rows(const TensorAccess& access) {
    if (access.is_direct) {
        return false;
    }
    std::vector<TileAxis> axes{
        {distance_along(access.channels, access.channel_stride), access.channels, true}};
    const auto append = [&](const TensorAxes::Axis& axis, bool is_in_tile) {
        // Along an expanded axis a tile repeats what it has read.
        const bool is_expanded = is_in_tile && axis.length > 1 && axis.strides[0] == 0;
        axes.push_back({is_expanded ? 0 : distance_along(axis.length, axis.strides[0]), axis.length,
                        is_in_tile});
    };
    for (const TensorAxes::Axis& axis : access.rows.axes()) {
        append(axis, false);
    }
    const auto elements = access.elements.axes();
    for (std::size_t axis = 0; axis < elements.size(); ++axis) {
        append(elements[axis], axis + 2 >= elements.size());
    }
    std::ranges::stable_sort(axes, {}, &TileAxis::distance);
    std::int64_t bytes = static_cast<std::int64_t>(access.element_size);
    for (const TileAxis& axis : axes) {
        if (bytes >= shortest_tile_run || axis.distance == none) {
            return false;
        }
        if (!axis.is_in_tile) {
            return true;
        }
        bytes *= axis.length;
    }
    return false;
}

SlabDemands slab_demands_of(const Problem& problem, const Geometry& geometry,
                            const TensorAccess& access) {
    const SummationOrder& order = geometry.order;
    const auto channel_axis = static_cast<std::size_t>(problem.channel_axis);
    std::vector<std::size_t> by_distance(problem.shape.size());
    std::iota(by_distance.begin(), by_distance.end(), std::size_t{0});
    const auto distance = [&](std::size_t axis) {
        return distance_along(problem.shape[axis], access.strides[axis]);
    };
    std::ranges::stable_sort(by_distance, {}, distance);
    SlabDemands demands;
    std::int64_t bytes = distance(by_distance[0]);
    for (const std::size_t axis : by_distance) {
        if (bytes >= cache_line) {
            break;
        }
        const std::int64_t length = problem.shape[axis];
        const std::int64_t wanted = std::min(length, divide_up(cache_line, bytes));
        if (axis == channel_axis) {
            demands.channels = wanted;
        } else {
            if (!geometry.is_row_axis(axis, channel_axis) || demands.steps > 1) {
                break;
            }
            const std::int64_t rows = rows_within(problem, axis);
            // Steps are not taken apart unless blocks end where they do. Leaves do with samples.
            if (rows != order.leaf_rows && rows % order.block_rows != 0) {
                demands.blocks = divide_up(wanted * rows, order.block_rows);
                break;
            }
            demands.steps = wanted;
            demands.axis_length = length;
            demands.blocks_per_step = divide_up(rows, order.block_rows) * order.blocks_along_leaf;
        }
        bytes *= wanted;
    }
    return demands;
}

void copy_slab(const Geometry& geometry, const TensorAccess& access, const Slab& slab,
               std::byte* target) {
    const std::int64_t size = geometry.element_size();
    const std::int64_t channels = slab.channels.end - slab.channels.begin;
    const std::int64_t channel_bytes = slab.elements_per_row() * size;
    const std::int64_t row_bytes = channels * channel_bytes;
    const std::int64_t rows = slab.extent.row_end - slab.extent.row;
    const std::int64_t step = slab.steps > 1 ? access.rows.offset_of(slab.rows_per_step) : 0;
    const std::byte* const first = access.address + slab.channels.begin * access.channel_stride;
    for_each_box_of_range(
        access.rows, slab.extent.row, rows, [&](const RangeBox& some_rows, std::int64_t row) {
            for_each_box_of_range(access.elements, slab.extent.first, slab.elements_per_row(),
                                  [&](const RangeBox& elements, std::int64_t element) {
                                      std::vector<CopiedAxis> axes{
                                          {channels, channel_bytes, access.channel_stride},
                                          {slab.steps, slab.elements_per_step() * size, step}};
                                      append_axes(axes, access.elements, elements, size);
                                      append_axes(axes, access.rows, some_rows, row_bytes);
                                      copy_axes(target + row * row_bytes + element * size,
                                                first + some_rows.offset + elements.offset, axes,
                                                access.element_size);
                                  });
        });
}

}  // namespace normgraph::kernel::simd
