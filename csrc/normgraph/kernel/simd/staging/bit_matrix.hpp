#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "normgraph/indices/counts.hpp"

/// Bits in words, and their transpose.
namespace normgraph::kernel::simd {

/// Channels, and elements, that are handled at a time.
inline constexpr std::int64_t word_bits = 64;

static_assert(std::endian::native == std::endian::little, "bytes of bits are read as integers");

inline std::int64_t power_of_two_up_to(std::int64_t value) {
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

}  // namespace normgraph::kernel::simd
