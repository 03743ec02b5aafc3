#include "normgraph/kernel/simd/staging/tensor_access.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "normgraph/kernel/strided/copy.hpp"

namespace normgraph::kernel::simd {
namespace {

/// The box, copied the other way.
CopiedBox reversed(CopiedBox box) {
    for (CopiedAxis& axis : box) {
        std::swap(axis.target_stride, axis.source_stride);
    }
    return box;
}

/// One past the last byte of the tensor.
const std::byte* end_of(const Problem& problem, const std::byte* address,
                        std::span<const std::int64_t> strides, std::size_t size) {
    for (std::size_t axis = 0; axis < strides.size(); ++axis) {
        address += std::max<std::int64_t>(0, (problem.shape[axis] - 1) * strides[axis]);
    }
    return address + size;
}

}  // namespace

void TensorAccess::bind(const Geometry& geometry, const Problem& problem, std::byte* first,
                        std::span<const std::int64_t> all_strides) {
    address = first;
    strides = all_strides;
    element_size = size_of(problem.data_type);
    const auto channel_axis = static_cast<std::size_t>(problem.channel_axis);
    for (std::size_t axis = 0; axis < strides.size(); ++axis) {
        if (axis != channel_axis) {
            const bool is_row = geometry.is_row_axis(axis, channel_axis);
            (is_row ? rows : elements).append(problem.shape[axis], {strides[axis]});
        }
    }
    channels = geometry.channels;
    channel_stride = strides[channel_axis];
    readable_end = end_of(problem, address, strides, element_size);
    is_direct = geometry.is_along_rows() ? has_direct_rows(geometry) : has_direct_columns(geometry);
}

bool TensorAccess::has_direct_rows(const Geometry& geometry) const {
    // Tiles end where runs do, so these should be long.
    const std::int64_t length = geometry.order.row_length;
    const std::int64_t run = elements.run_length(0, length);
    const bool is_whole =
        elements.is_one_axis() ||
        (run % most_lanes == 0 && run * geometry.element_size() >= shortest_direct_run);
    return length == 1 || (elements.stride() == geometry.element_size() && is_whole);
}

bool TensorAccess::has_direct_columns(const Geometry& geometry) const {
    const std::int64_t length = geometry.order.row_length;
    const std::int64_t row_bytes = geometry.channels * geometry.element_size();
    if (geometry.channels > 1 && channel_stride != geometry.element_size()) {
        return false;
    }
    if (geometry.order.lanes == 1) {
        return elements.is_one_axis() ||
               elements.run_length(0, length) * row_bytes >= shortest_direct_run;
    }
    // Lanes are columns, so rows of elements have to follow each other.
    return length == 1 || (elements.is_one_axis() && elements.stride() == row_bytes);
}

bool TensorAccess::is_copied_across() const {
    return !is_direct && std::abs(channel_stride) < std::abs(elements.stride());
}

/// Calls function(address in the tensor, address in the buffer, box) for all elements of a tile:
/// for as many at once as lie alike. The box is that of copying to the buffer.
template <typename Function>
void TensorAccess::for_each_box(const BufferedTile& buffer, const Tile& tile,
                                const Function& function) const {
    const std::int64_t step = buffer.element_stride;
    std::int64_t done = 0;
    while (done < tile.count) {
        const TensorAxes::Runs runs = elements.runs_at(tile.first + done, tile.count - done);
        const CopiedBox box{{
            {tile.channel_count(), buffer.channel_stride, channel_stride},
            {runs.count, runs.length * step, runs.distance},
            {runs.length, step, elements.stride()},
        }};
        function(at({tile.channels.begin, tile.row, tile.first + done}),
                 buffer.address + done * step, box);
        done += runs.count * runs.length;
    }
}

void TensorAccess::copy_to(const BufferedTile& buffer, const Tile& tile) const {
    const std::int64_t bytes_ahead = distance_to_next(tile);
    for_each_box(buffer, tile,
                 [&](const std::byte* tensor, std::byte* place, const CopiedBox& box) {
                     copy_box(place, tensor, box, element_size, bytes_ahead);
                 });
}

void TensorAccess::copy_from(const BufferedTile& buffer, const Tile& tile) const {
    for_each_box(buffer, tile,
                 [&](std::byte* tensor, const std::byte* place, const CopiedBox& box) {
                     copy_box(tensor, place, reversed(box), element_size, 0);
                 });
}

void TensorAccess::stream_from(const BufferedTile& buffer, const Tile& tile,
                               std::byte* spare) const {
    for_each_box(buffer, tile,
                 [&](std::byte* tensor, const std::byte* place, const CopiedBox& box) {
                     stream_box(tensor, place, reversed(box), element_size, spare);
                 });
}

}  // namespace normgraph::kernel::simd
