#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/simd/staging/traversal.hpp"

namespace normgraph::kernel::simd {

/// Elements of a tile that lie side by side: along rows, those of one row of a channel; across
/// channels, those of all channels at one position.
struct ElementLine {
    std::int64_t channel;  ///< counted from the tile's first
    std::int64_t row;      ///< of the tile
    std::int64_t element;  ///< counted from the tile's first; of a line across channels
    std::int64_t length;
};

/// Calls `function(line)` for all lines of a tile.
template <typename Function>
void for_each_line(const Geometry& geometry, const Tile& tile, const Function& function) {
    if (!geometry.is_along_rows()) {
        for (std::int64_t element = 0; element < tile.count; ++element) {
            function(ElementLine{0, 0, element, tile.channel_count()});
        }
        return;
    }
    for (std::int64_t channel = 0; channel < tile.channel_count(); ++channel) {
        for (std::int64_t row = 0; row < tile.rows; ++row) {
            function(ElementLine{channel, row, 0, tile.count});
        }
    }
}

/// The address of a line in a tile as micro-kernels take it.
template <typename AnyTile>
auto* address_of(const Geometry& geometry, const AnyTile& tile, const ElementLine& line) {
    const std::int64_t lanes = geometry.columns_per_channel();
    return geometry.is_along_rows()
               ? tile.address + line.channel * tile.channel_stride + line.row * tile.row_stride
               : tile.address + line.element / lanes * tile.row_stride +
                     line.element % lanes * line.length * geometry.element_size();
}

/// The bits of a line in a tile's mask: bit `first` of the byte at the address, and those after it.
struct LineBits {
    const std::byte* address;
    std::int64_t first;

    bool operator[](std::int64_t element) const {
        const std::int64_t bit = first + element;
        return ((address[bit / bits_per_byte] >> static_cast<int>(bit % bits_per_byte)) &
                std::byte{1}) != std::byte{0};
    }
};

inline LineBits bits_of(const Geometry& geometry, const MaskTile& mask, const ElementLine& line) {
    const std::int64_t lanes = geometry.columns_per_channel();
    return geometry.is_along_rows()
               ? LineBits{mask.address + line.channel * mask.channel_stride +
                              line.row * mask.row_stride,
                          0}
               : LineBits{mask.address + line.element / lanes * mask.row_stride,
                          line.element % lanes * line.length};
}

}  // namespace normgraph::kernel::simd
