#include "normgraph/kernel/simd/staging/copy_bits.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "normgraph/kernel/simd/instruction_sets/inlining.hpp"
#include "normgraph/kernel/simd/staging/bit_matrix.hpp"

namespace normgraph::kernel::simd {
namespace {

/// Elements whose bits are in the same 1, 2, 4 or 8 bytes of a channel, behind those skipped.
struct Span {
    std::int64_t bytes, skipped, elements;

    static Span at(std::int64_t element, std::int64_t left) {
        const std::int64_t skipped = element % bits_per_byte;
        const std::int64_t bytes = power_of_two_up_to(
            std::min<std::int64_t>(bytes_for(skipped + left), sizeof(std::uint64_t)));
        return {bytes, skipped, std::min(left, bits_per_byte * bytes - skipped)};
    }
};

void read_channels(const ChannelBits& from, const Span& span, BitMatrix& matrix) {
    with_bits(span.bytes, [&]<typename Bits>() {
        for (std::int64_t channel = 0; channel < from.channels; ++channel) {
            const std::byte* const address = from.address + channel * from.channel_stride;
            matrix.set_bits_of_channel(channel, load_as<Bits>(address));
        }
    });
}

void set_in_channels(const BitMatrix& matrix, const ChannelBits& to, const Span& span) {
    with_bits(span.bytes, [&]<typename Bits>() {
        for (std::int64_t channel = 0; channel < to.channels; ++channel) {
            std::byte* const address = to.address + channel * to.channel_stride;
            store_as<Bits>(address, load_as<Bits>(address) | matrix.bits_of_channel(channel));
        }
    });
}

/// Rows of one element each, or the part of each that holds these channels.
struct RowsOfBits {
    std::byte* first;
    std::int64_t stride;
    std::int64_t bytes;  ///< at most 8
};

/// Calls function.template operator()<Bits>(offset) for integers of 8, 4, 2 and 1 bytes that
/// together make a row.
template <typename Function>
void for_each_piece(const RowsOfBits& rows, const Function& function) {
    for (std::int64_t offset = 0; offset < rows.bytes;) {
        const std::int64_t size = power_of_two_up_to(rows.bytes - offset);
        with_bits(size, [&]<typename Bits>() { function.template operator()<Bits>(offset); });
        offset += size;
    }
}

void write_rows(const BitMatrix& matrix, const Span& span, const RowsOfBits& rows) {
    for_each_piece(rows, [&]<typename Bits>(std::int64_t offset) {
        std::byte* address = rows.first + offset;
        for (std::int64_t index = 0; index < span.elements; ++index, address += rows.stride) {
            store_as<Bits>(address,
                           matrix.bits_of_element(span.skipped + index) >> bits_per_byte * offset);
        }
    });
}

void read_rows(const RowsOfBits& rows, const Span& span, BitMatrix& matrix) {
    for_each_piece(rows, [&]<typename Bits>(std::int64_t offset) {
        const std::byte* address = rows.first + offset;
        for (std::int64_t index = 0; index < span.elements; ++index, address += rows.stride) {
            matrix.set_bits_of_element(span.skipped + index, load_as<Bits>(address)
                                                                 << bits_per_byte * offset);
        }
    });
}

/// Calls function(channels, span, rows): up to 64 channels of one span, and the rows of its
/// elements.
template <typename Function>
void for_each_span(const ChannelBits& all, std::int64_t first, std::int64_t count,
                   const ElementBits& elements, const Function& function) {
    const std::int64_t row_bytes = bytes_for(all.channels);
    std::byte* row = elements.address;
    for (const std::int64_t end = first + count; first < end;) {
        const Span span = Span::at(first, end - first);
        for (std::int64_t skipped = 0; skipped < all.channels; skipped += word_bits) {
            const std::int64_t offset = skipped / bits_per_byte;
            function(ChannelBits{all.address + skipped * all.channel_stride + first / bits_per_byte,
                                 all.channel_stride, std::min(word_bits, all.channels - skipped)},
                     span,
                     RowsOfBits{row + offset, elements.row_stride,
                                std::min(row_bytes - offset, bytes_for(word_bits))});
        }
        first += span.elements;
        row += span.elements * elements.row_stride;
    }
}

// ---- up to 8 channels: the rows of 8 elements are one word --------------------------------------

// Where every bit has a byte of its own, multiplications add eight shifted copies, of which no two
// meet in one place.

/// The lowest bits of 8 bytes.
std::uint64_t lowest_bits_of(std::uint64_t bytes) {
    return ((bytes & 0x0101010101010101U) * 0x0102040810204080U) >> 56;
}

/// 8 bits as bytes of 0 or 1.
std::uint64_t as_bytes(std::uint64_t bits) {
    const std::uint64_t apart = (bits * 0x0101010101010101U) & 0x8040201008040201U;
    return ((apart + 0x7F7F7F7F7F7F7F7FU) >> 7) & 0x0101010101010101U;
}

// 1 to 8 bytes are two integers that may overlap: the library's copy of a number of bytes that is
// not known takes longer than all that is done with them.

/// Calls function.template operator()<Bits>(offset of the second integer).
template <typename Function>
decltype(auto) with_halves(std::int64_t count, const Function& function) {
    if (count >= 4) {
        return function.template operator()<std::uint32_t>(count - 4);
    }
    if (count >= 2) {
        return function.template operator()<std::uint16_t>(count - 2);
    }
    return function.template operator()<std::uint8_t>(0);
}

/// 1 to 8 bytes, the others 0.
std::uint64_t load_bytes(const std::byte* address, std::int64_t count) {
    return with_halves(count, [&]<typename Bits>(std::int64_t offset) {
        return load_as<Bits>(address) | load_as<Bits>(address + offset) << bits_per_byte * offset;
    });
}
void store_bytes(std::byte* address, std::uint64_t bytes, std::int64_t count) {
    with_halves(count, [&]<typename Bits>(std::int64_t offset) {
        store_as<Bits>(address, bytes);
        store_as<Bits>(address + offset, bytes >> bits_per_byte * offset);
    });
}

std::uint64_t load_short_rows(const ElementBits& elements, std::int64_t first, std::int64_t count) {
    const std::byte* const row = elements.address + first * elements.row_stride;
    if (elements.row_stride == 1) {
        return load_bytes(row, count);
    }
    std::uint64_t bytes = 0;
    for (std::int64_t index = 0; index < count; ++index) {
        bytes |= load_as<std::uint8_t>(row + index * elements.row_stride) << bits_per_byte * index;
    }
    return bytes;
}

void store_short_rows(const ElementBits& elements, std::int64_t first, std::int64_t count,
                      std::uint64_t bytes) {
    std::byte* const row = elements.address + first * elements.row_stride;
    if (elements.row_stride == 1) {
        return store_bytes(row, bytes, count);
    }
    for (std::int64_t index = 0; index < count; ++index) {
        store_as<std::uint8_t>(row + index * elements.row_stride, bytes >> bits_per_byte * index);
    }
}

/// Calls function(first channel's byte, skipped, row, elements) for the bytes of a channel that
/// hold bits of the elements [first, first + count): behind `skipped` others, those of so many
/// elements from `row` on. The compiler knows the numbers of whole bytes.
template <typename Function>
void for_each_byte(const ChannelBits& channels, std::int64_t first, std::int64_t count,
                   const Function& function) {
    std::byte* byte = channels.address + first / bits_per_byte;
    std::int64_t row = 0;
    if (const std::int64_t skipped = first % bits_per_byte; skipped != 0) {
        row = std::min(bits_per_byte - skipped, count);
        function(byte++, skipped, 0, row);
    }
    for (; row + bits_per_byte <= count; row += bits_per_byte) {
        function(byte++, 0, row, bits_per_byte);
    }
    if (row < count) {
        function(byte, 0, row, count - row);
    }
}

void read_few_channels(const ChannelBits& from, std::int64_t first, std::int64_t count,
                       const ElementBits& to) {
    for_each_byte(from, first, count,
                  [&](const std::byte* byte, std::int64_t skipped, std::int64_t row,
                      std::int64_t elements) NORMGRAPH_ALWAYS_INLINE {
                      std::uint64_t rows = 0;
                      for (std::int64_t channel = 0; channel < from.channels; ++channel) {
                          rows |= as_bytes(load_as<std::uint8_t>(byte) >> skipped) << channel;
                          byte += from.channel_stride;
                      }
                      store_short_rows(to, row, elements, rows);
                  });
}

void set_in_few_channels(const ElementBits& from, const ChannelBits& to, std::int64_t first,
                         std::int64_t count) {
    for_each_byte(to, first, count,
                  [&](std::byte* byte, std::int64_t skipped, std::int64_t row,
                      std::int64_t elements) NORMGRAPH_ALWAYS_INLINE {
                      const std::uint64_t rows = load_short_rows(from, row, elements);
                      for (std::int64_t channel = 0; channel < to.channels; ++channel) {
                          const std::uint64_t bits = lowest_bits_of(rows >> channel) << skipped;
                          store_as<std::uint8_t>(byte, load_as<std::uint8_t>(byte) | bits);
                          byte += to.channel_stride;
                      }
                  });
}

// ---- lanes --------------------------------------------------------------------------------------

/// A row of lanes, whose bits follow each other, to and from rows of whole bytes, whose bits begin
/// with a byte each. The upper half of the lanes is moved away from the lower one, then the upper
/// half of each half.
class LaneDistances {
public:
    LaneDistances(std::int64_t lanes, std::int64_t channels)
        // Of one channel half of the lanes fill whole bytes, and 8 rows a word.
        : lanes_(std::min(lanes, bits_per_byte)), channels_(channels) {
        const std::int64_t distance = bits_per_byte * element_bytes();
        for (std::int64_t half = lanes_ / 2; half > 0; half /= 2) {
            Move& move = moves_[move_count_++];
            move.shift = half * (distance - channels);
            for (std::int64_t lane = 0; lane < lanes_; lane += 2 * half) {
                move.stays |= lowest(half * channels) << lane * distance;
            }
            move.moves = move.stays << half * channels;
        }
    }

    std::int64_t lanes() const { return lanes_; }
    std::int64_t lane_row_bytes() const { return bytes_for(lanes_ * channels_); }
    std::int64_t element_bytes() const { return bytes_for(channels_); }

    std::uint64_t apart(std::uint64_t bits) const {
        for (std::size_t index = 0; index < move_count_; ++index) {
            const Move& move = moves_[index];
            bits = (bits & move.stays) | ((bits & move.moves) << move.shift);
        }
        return bits;
    }
    std::uint64_t together(std::uint64_t bits) const {
        for (std::size_t index = move_count_; index-- > 0;) {
            const Move& move = moves_[index];
            bits = (bits & move.stays) | ((bits >> move.shift) & move.moves);
        }
        return bits;
    }

private:
    struct Move {
        std::uint64_t stays = 0, moves = 0;
        std::int64_t shift = 0;
    };
    static std::uint64_t lowest(std::int64_t bits) { return (std::uint64_t{1} << bits) - 1; }

    std::int64_t lanes_, channels_;
    std::size_t move_count_ = 0;
    std::array<Move, 3> moves_{};
};

/// Calls function(lane row, element rows, bytes of the latter) for all rows of lanes, of which the
/// last one may have fewer elements.
template <typename Function>
void for_each_lane_row(const LaneDistances& distances, const LaneBits& lanes,
                       const ElementBits& elements, std::int64_t count, const Function& function) {
    std::byte* row = lanes.address;
    std::byte* element = elements.address;
    const std::int64_t row_bytes = distances.lane_row_bytes();
    const std::int64_t bytes = distances.lanes() * distances.element_bytes();
    const std::int64_t end = count * distances.element_bytes();
    for (std::int64_t done = 0; done < end; done += bytes) {
        function(row, element + done, std::min(bytes, end - done));
        row += row_bytes;
    }
}

// ---- bytes --------------------------------------------------------------------------------------

/// Calls function(bits, bytes, count) for each 8 channels of each element.
template <typename Function>
void for_each_byte_of_bits(const ByteRows& bytes, const ElementBits& elements, std::int64_t count,
                           const Function& function) {
    for (std::int64_t element = 0; element < count; ++element) {
        std::byte* bits = elements.address + element * elements.row_stride;
        std::byte* const row = bytes.address + element * bytes.row_stride;
        for (std::int64_t channel = 0; channel < bytes.channels; channel += bits_per_byte) {
            function(bits++, row + channel, std::min(bits_per_byte, bytes.channels - channel));
        }
    }
}

}  // namespace

void copy_bits(const ChannelBits& from, std::int64_t first, std::int64_t count,
               const ElementBits& to) {
    if (from.channels <= bits_per_byte) {
        return read_few_channels(from, first, count, to);
    }
    for_each_span(from, first, count, to,
                  [](const ChannelBits& channels, const Span& span, const RowsOfBits& rows) {
                      BitMatrix matrix(channels.channels, bits_per_byte * span.bytes);
                      read_channels(channels, span, matrix);
                      matrix.transpose();
                      write_rows(matrix, span, rows);
                  });
}

void copy_bits(const ElementBits& from, const ChannelBits& to, std::int64_t first,
               std::int64_t count) {
    if (to.channels <= bits_per_byte) {
        return set_in_few_channels(from, to, first, count);
    }
    for_each_span(to, first, count, from,
                  [](const ChannelBits& channels, const Span& span, const RowsOfBits& rows) {
                      BitMatrix matrix(channels.channels, bits_per_byte * span.bytes);
                      read_rows(rows, span, matrix);
                      matrix.transpose();
                      set_in_channels(matrix, channels, span);
                  });
}

void copy_bits(const LaneBits& from, std::int64_t count, const ElementBits& to) {
    const LaneDistances distances(from.lanes, from.channels);
    for_each_lane_row(distances, from, to, count,
                      [&](const std::byte* row, std::byte* elements, std::int64_t bytes) {
                          store_bytes(elements, distances.apart(load_as<std::uint64_t>(row)),
                                      bytes);
                      });
}

void copy_bits(const ElementBits& from, const LaneBits& to, std::int64_t count) {
    const LaneDistances distances(to.lanes, to.channels);
    for_each_lane_row(distances, to, from, count,
                      [&](std::byte* row, const std::byte* elements, std::int64_t bytes) {
                          // Behind the row this writes zeros, which the next rows overwrite.
                          store_as<std::uint64_t>(row,
                                                  distances.together(load_bytes(elements, bytes)));
                      });
}

void copy_bits(const ByteRows& from, std::int64_t count, const ElementBits& to) {
    for_each_byte_of_bits(
        from, to, count, [](std::byte* bits, const std::byte* bytes, std::int64_t channels) {
            store_as<std::uint8_t>(bits, lowest_bits_of(load_bytes(bytes, channels)));
        });
}

void copy_bits(const ElementBits& from, const ByteRows& to, std::int64_t count) {
    for_each_byte_of_bits(to, from, count,
                          [](const std::byte* bits, std::byte* bytes, std::int64_t channels) {
                              store_bytes(bytes, as_bytes(load_as<std::uint8_t>(bits)), channels);
                          });
}

}  // namespace normgraph::kernel::simd
