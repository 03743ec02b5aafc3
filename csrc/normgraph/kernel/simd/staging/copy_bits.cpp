#include "normgraph/kernel/simd/staging/copy_bits.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace normgraph::kernel::simd {
namespace {

/// Channels, and elements, that are handled at a time.
constexpr std::int64_t word_bits = 64;

static_assert(std::endian::native == std::endian::little, "bytes of bits are read as integers");

std::int64_t power_of_two_up_to(std::int64_t value) {
    return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(value)));
}

template <typename Bits>
std::uint64_t load_as(const std::byte* address) {
    Bits bits;
    std::memcpy(&bits, address, sizeof(Bits));
    return bits;
}
template <typename Bits>
void store_as(std::byte* address, std::uint64_t bits) {
    const auto lowest = static_cast<Bits>(bits);
    std::memcpy(address, &lowest, sizeof(Bits));
}

/// Calls function.template operator()<Bits>() with the unsigned integer of 1, 2, 4 or 8 bytes.
template <typename Function>
void with_bits(std::int64_t bytes, const Function& function) {
    switch (bytes) {
        case 8:
            return function.template operator()<std::uint64_t>();
        case 4:
            return function.template operator()<std::uint32_t>();
        case 2:
            return function.template operator()<std::uint16_t>();
        default:
            return function.template operator()<std::uint8_t>();
    }
}

/// Bit j of word i becomes bit i of word j, in each block of as many bits as there are words
/// (Henry S. Warren, Hacker's Delight, section 7-3: rounds that swap ever smaller blocks across the
/// diagonal).
template <std::size_t count>
void transpose_blocks(std::uint64_t* words) {
    for (std::size_t size = count / 2; size > 0; size /= 2) {
        // The lower half of each 2·size bits.
        const std::uint64_t lower = ~std::uint64_t{0} / ((std::uint64_t{1} << size) + 1);
        for (std::size_t pair = 0; pair < count; pair += 2 * size) {
            for (std::size_t index = pair; index < pair + size; ++index) {
                const std::uint64_t swapped =
                    ((words[index] >> size) ^ words[index + size]) & lower;
                words[index] ^= swapped << size;
                words[index + size] ^= swapped;
            }
        }
    }
}

/// Bits of up to 64 channels and 64 elements, in 8, 16, 32 or 64 words: as many as the fewer of
/// both need. They are square blocks side by side, of more channels, or of more elements.
class BitMatrix {
public:
    BitMatrix(std::int64_t channels, std::int64_t elements)
        : count_(std::min(elements,
                          static_cast<std::int64_t>(std::bit_ceil(
                              static_cast<std::uint64_t>(std::max(bits_per_byte, channels)))))),
          of_element_(~std::uint64_t{0} >> (elements > count_ ? word_bits - count_ : 0)) {
        std::fill_n(words_.begin(), count_, 0);
    }

    void set_bits_of_channel(std::int64_t channel, std::uint64_t bits) {
        word(channel) |= bits << place_of(channel);
    }
    /// Those of other channels may stand behind them.
    std::uint64_t bits_of_channel(std::int64_t channel) const {
        return words_[index_of(channel)] >> place_of(channel);
    }
    void set_bits_of_element(std::int64_t element, std::uint64_t bits) {
        word(element) |= (bits & of_element_) << place_of(element);
    }
    std::uint64_t bits_of_element(std::int64_t element) const {
        return (words_[index_of(element)] >> place_of(element)) & of_element_;
    }

    /// From bits of channels to bits of elements, or back.
    void transpose() {
        switch (count_) {
            case 64:
                return transpose_blocks<64>(words_.data());
            case 32:
                return transpose_blocks<32>(words_.data());
            case 16:
                return transpose_blocks<16>(words_.data());
            default:
                return transpose_blocks<8>(words_.data());
        }
    }

private:
    std::size_t index_of(std::int64_t position) const {
        return static_cast<std::size_t>(position & (count_ - 1));
    }
    std::uint64_t& word(std::int64_t position) { return words_[index_of(position)]; }
    std::int64_t place_of(std::int64_t position) const { return position & -count_; }

    std::int64_t count_;
    std::uint64_t of_element_;  ///< the lowest bits, where a word holds several elements
    std::array<std::uint64_t, word_bits> words_;
};

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
struct Rows {
    std::byte* first;
    std::int64_t stride;
    std::int64_t bytes;  ///< at most 8
};

/// Calls function.template operator()<Bits>(offset) for integers of 8, 4, 2 and 1 bytes that
/// together make a row.
template <typename Function>
void for_each_piece(const Rows& rows, const Function& function) {
    for (std::int64_t offset = 0; offset < rows.bytes;) {
        const std::int64_t size = power_of_two_up_to(rows.bytes - offset);
        with_bits(size, [&]<typename Bits>() { function.template operator()<Bits>(offset); });
        offset += size;
    }
}

void write_rows(const BitMatrix& matrix, const Span& span, const Rows& rows) {
    for_each_piece(rows, [&]<typename Bits>(std::int64_t offset) {
        std::byte* address = rows.first + offset;
        for (std::int64_t index = 0; index < span.elements; ++index, address += rows.stride) {
            store_as<Bits>(address,
                           matrix.bits_of_element(span.skipped + index) >> bits_per_byte * offset);
        }
    });
}

void read_rows(const Rows& rows, const Span& span, BitMatrix& matrix) {
    for_each_piece(rows, [&]<typename Bits>(std::int64_t offset) {
        const std::byte* address = rows.first + offset;
        for (std::int64_t index = 0; index < span.elements; ++index, address += rows.stride) {
            matrix.set_bits_of_element(span.skipped + index, load_as<Bits>(address)
                                                                 << bits_per_byte * offset);
        }
    });
}

/// Rows of several elements, from one of their lanes on.
struct LaneRows {
    std::byte* first;
    std::int64_t lane, lanes;
    std::int64_t channels;
};

/// Calls function(row, begin, end, shift): a row's elements [begin, end) of the span, and where the
/// first one's bits are.
template <typename Function>
void for_each_row(const LaneRows& rows, const Span& span, const Function& function) {
    std::byte* row = rows.first;
    std::int64_t lane = rows.lane;
    for (std::int64_t begin = 0; begin < span.elements;) {
        const std::int64_t end = std::min(begin + rows.lanes - lane, span.elements);
        function(row, begin, end, lane * rows.channels);
        begin = end;
        lane = 0;
        row += bytes_for(rows.lanes * rows.channels);
    }
}

void write_lanes(const BitMatrix& matrix, const Span& span, const LaneRows& rows) {
    for_each_row(
        rows, span, [&](std::byte* row, std::int64_t begin, std::int64_t end, std::int64_t shift) {
            std::uint64_t bits = shift == 0 ? 0 : load_as<std::uint32_t>(row);
            for (std::int64_t index = begin; index < end; ++index, shift += rows.channels) {
                bits |= matrix.bits_of_element(span.skipped + index) << shift;
            }
            // Behind the row this writes zeros, which the next rows overwrite.
            store_as<std::uint32_t>(row, bits);
        });
}

void read_lanes(const LaneRows& rows, const Span& span, BitMatrix& matrix) {
    for_each_row(
        rows, span,
        [&](const std::byte* row, std::int64_t begin, std::int64_t end, std::int64_t shift) {
            const std::uint64_t bits = load_as<std::uint32_t>(row);
            // Behind an element's bits stand those of later ones, as if of more channels.
            for (std::int64_t index = begin; index < end; ++index, shift += rows.channels) {
                matrix.set_bits_of_element(span.skipped + index, bits >> shift);
            }
        });
}

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

/// Packs channels of one element each, which lie side by side.
void pack(const std::byte* bytes, std::int64_t channels, std::byte* bits) {
    std::int64_t channel = 0;
    for (; channel + bits_per_byte <= channels; channel += bits_per_byte) {
        store_as<std::uint8_t>(bits + channel / bits_per_byte,
                               lowest_bits_of(load_as<std::uint64_t>(bytes + channel)));
    }
    if (channel < channels) {
        std::uint64_t last = 0;
        std::memcpy(&last, bytes + channel, static_cast<std::size_t>(channels - channel));
        store_as<std::uint8_t>(bits + channel / bits_per_byte, lowest_bits_of(last));
    }
}

void unpack(const std::byte* bits, std::int64_t channels, std::byte* bytes) {
    std::int64_t channel = 0;
    for (; channel + bits_per_byte <= channels; channel += bits_per_byte) {
        store_as<std::uint64_t>(bytes + channel,
                                as_bytes(load_as<std::uint8_t>(bits + channel / bits_per_byte)));
    }
    if (channel < channels) {
        const std::uint64_t last = as_bytes(load_as<std::uint8_t>(bits + channel / bits_per_byte));
        std::memcpy(bytes + channel, &last, static_cast<std::size_t>(channels - channel));
    }
}

/// Whether channels are bytes of one bit each, and rows of elements bits alone.
bool are_bytes_and_bits(const ChannelBits& channels, const ElementBits& elements) {
    return channels.elements == 1 && channels.channel_stride == 1 && elements.lanes == 1;
}

/// Calls function(channels, span, position, skipped): up to 64 channels of one span, which begins
/// at `position`, behind so many other channels.
template <typename Function>
void for_each_span(const ChannelBits& all, std::int64_t first, std::int64_t count,
                   std::int64_t position, const Function& function) {
    const std::int64_t end = first + count;
    while (first < end) {
        const Span span = Span::at(first, end - first);
        for (std::int64_t skipped = 0; skipped < all.channels; skipped += word_bits) {
            const ChannelBits some{
                all.address + skipped * all.channel_stride + first / bits_per_byte,
                all.channel_stride, std::min(word_bits, all.channels - skipped), all.elements};
            function(some, span, position, skipped);
        }
        first += span.elements;
        position += span.elements;
    }
}

Rows rows_at(const ElementBits& elements, std::int64_t position, std::int64_t channels,
             std::int64_t skipped) {
    const std::int64_t stride = bytes_for(channels);
    const std::int64_t offset = skipped / bits_per_byte;
    return {elements.address + position * stride + offset, stride,
            std::min(stride - offset, bytes_for(word_bits))};
}

LaneRows lane_rows_at(const ElementBits& elements, std::int64_t position, std::int64_t channels) {
    const std::int64_t stride = bytes_for(elements.lanes * channels);
    return {elements.address + position / elements.lanes * stride, position % elements.lanes,
            elements.lanes, channels};
}

}  // namespace

void copy_bits(const ChannelBits& from, std::int64_t first, std::int64_t count,
               const ElementBits& to, std::int64_t position) {
    if (are_bytes_and_bits(from, to)) {
        return pack(from.address, from.channels, rows_at(to, position, from.channels, 0).first);
    }
    for_each_span(
        from, first, count, position,
        [&](const ChannelBits& channels, const Span& span, std::int64_t at, std::int64_t skipped) {
            BitMatrix matrix(channels.channels, bits_per_byte * span.bytes);
            read_channels(channels, span, matrix);
            matrix.transpose();
            to.lanes == 1 ? write_rows(matrix, span, rows_at(to, at, from.channels, skipped))
                          : write_lanes(matrix, span, lane_rows_at(to, at, from.channels));
        });
}

void copy_bits(const ElementBits& from, std::int64_t position, const ChannelBits& to,
               std::int64_t first, std::int64_t count) {
    if (are_bytes_and_bits(to, from)) {
        return unpack(rows_at(from, position, to.channels, 0).first, to.channels, to.address);
    }
    for_each_span(
        to, first, count, position,
        [&](const ChannelBits& channels, const Span& span, std::int64_t at, std::int64_t skipped) {
            BitMatrix matrix(channels.channels, bits_per_byte * span.bytes);
            from.lanes == 1 ? read_rows(rows_at(from, at, to.channels, skipped), span, matrix)
                            : read_lanes(lane_rows_at(from, at, to.channels), span, matrix);
            matrix.transpose();
            set_in_channels(matrix, channels, span);
        });
}

}  // namespace normgraph::kernel::simd
