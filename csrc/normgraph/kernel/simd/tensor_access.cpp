#include "normgraph/kernel/simd/tensor_access.hpp"

#include <utility>

#include "normgraph/kernel/strided/copy.hpp"

namespace normgraph::kernel::simd {
namespace {

/// The same box, copied the other way.
CopiedBox reversed(CopiedBox box) {
    for (CopiedAxis& axis : box) {
        std::swap(axis.target_stride, axis.source_stride);
    }
    return box;
}

}  // namespace

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
