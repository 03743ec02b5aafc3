#include "normgraph/kernel/simd/staging/counted_copies.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "normgraph/kernel/simd/staging/element_lines.hpp"

namespace normgraph::kernel::simd {
namespace {

/// The bits of an element.
template <typename Data>
using bits_t =
    std::conditional_t<sizeof(Data) == 2, std::uint16_t,
                       std::conditional_t<sizeof(Data) == 4, std::uint32_t, std::uint64_t>>;

template <typename Word>
Word load_word(const std::byte* line, std::int64_t element) {
    Word word;
    std::memcpy(&word, line + element * static_cast<std::int64_t>(sizeof(Word)), sizeof(Word));
    return word;
}

template <typename Word>
void store_word(std::byte* line, std::int64_t element, Word word) {
    std::memcpy(line + element * static_cast<std::int64_t>(sizeof(Word)), &word, sizeof(Word));
}

/// Whether an element is +0 or −0.
template <typename Word>
bool is_zero(Word word) {
    return static_cast<Word>(word << 1) == 0;
}

template <typename Word>
bool are_all_zeros(const std::byte* line, std::int64_t length) {
    Word all = 0;
    for (std::int64_t element = 0; element < length; ++element) {
        all |= load_word<Word>(line, element);
    }
    return is_zero(all);
}

/// Without a branch, so that compilers take whole vectors.
template <typename Word>
void keep_beside_gradient(std::byte* to, const std::byte* from, const std::byte* delta,
                          const std::byte* counts, std::int64_t length) {
    for (std::int64_t element = 0; element < length; ++element) {
        const auto value = load_word<Word>(from, element);
        const bool is_kept =
            (counts[element] != std::byte{0}) | !is_zero(load_word<Word>(delta, element));
        store_word(to, element, is_kept ? value : Word{0});
    }
}

}  // namespace

CountedCopies::CountedCopies(const Traversal& traversal, std::int64_t channels, Scratch& scratch)
    : geometry_(traversal.geometry()),
      positions_(*traversal.positions()),
      channels_(channels),
      buffer_(geometry_, channels, scratch),
      shifts_(scratch.take<std::byte>(channels * geometry_.element_size())) {}

std::size_t CountedCopies::bytes(const Traversal& traversal, std::int64_t channels) {
    const Geometry& geometry = traversal.geometry();
    return TileBuffer::bytes(geometry, channels) +
           Scratch::rounded(static_cast<std::size_t>(channels * geometry.element_size()));
}

void CountedCopies::set_shifts(const std::byte* shifts) {
    with_data_type(geometry_.type, [&]<typename Data>() {
        for (std::int64_t channel = 0; channel < channels_; ++channel) {
            const auto shift = load_word<term_t<Data>>(shifts, channel);
            store<Data>(shifts_ + channel * geometry_.element_size(),
                        static_cast<arithmetic_t<Data>>(shift));
        }
    });
}

SourceTile CountedCopies::copied_tile(const Tile& tile) const {
    return {buffer_.address(), buffer_.channel_stride(tile), buffer_.row_stride(tile),
            buffer_.end(), 0};
}

StagedTile CountedCopies::copy(const Tile& tile, StagedTile staged, std::int64_t first) const {
    with_data_type(geometry_.type, [&]<typename Data>() {
        copy_elements<Data>(tile, staged.sources[0], tile.channels.begin - first);
    });
    staged.sources[0] = copied_tile(tile);
    return staged;
}

template <typename Data>
void CountedCopies::copy_elements(const Tile& tile, const SourceTile& source,
                                  std::int64_t first) const {
    using Word = bits_t<Data>;
    constexpr auto size = static_cast<std::int64_t>(sizeof(Data));
    const SourceTile copied = copied_tile(tile);
    for_each_line(geometry_, tile, [&](const ElementLine& line) {
        const std::byte* const from = address_of(geometry_, source, line);
        auto* const to = const_cast<std::byte*>(address_of(geometry_, copied, line));
        const std::byte* const counts =
            positions_.at(geometry_.order, tile.row + line.row, tile.first + line.element);
        const std::byte* const shifts = shifts_ + (first + line.channel) * size;
        if (!geometry_.is_along_rows()) {
            std::memcpy(to, *counts == std::byte{1} ? from : shifts,
                        static_cast<std::size_t>(line.length * size));
            return;
        }
        const auto shift = load_word<Word>(shifts, 0);
        for (std::int64_t element = 0; element < line.length; ++element) {
            const auto value = load_word<Word>(from, element);
            store_word(to, element, counts[element] == std::byte{1} ? value : shift);
        }
    });
}

StagedTile CountedCopies::copy_beside_gradient(const Tile& tile, StagedTile staged) const {
    with_data_type(geometry_.type,
                   [&]<typename Data>() { copy_elements_beside_gradient<Data>(tile, staged); });
    staged.sources[0] = copied_tile(tile);
    return staged;
}

template <typename Data>
void CountedCopies::copy_elements_beside_gradient(const Tile& tile,
                                                  const StagedTile& staged) const {
    using Word = bits_t<Data>;
    constexpr auto size = static_cast<std::int64_t>(sizeof(Data));
    const SourceTile copied = copied_tile(tile);
    const bool is_masked = staged.mask.address != nullptr;
    for_each_line(geometry_, tile, [&](const ElementLine& line) {
        const std::byte* const from = address_of(geometry_, staged.sources[0], line);
        const std::byte* const delta = address_of(geometry_, staged.sources[1], line);
        auto* const to = const_cast<std::byte*>(address_of(geometry_, copied, line));
        const std::byte* const counts =
            positions_.at(geometry_.order, tile.row + line.row, tile.first + line.element);
        const std::int64_t step = geometry_.is_along_rows() ? 1 : 0;
        const auto bytes = static_cast<std::size_t>(line.length * size);
        if (step == 0 && *counts == std::byte{1}) {
            std::memcpy(to, from, bytes);
            return;
        }
        // Padding has no gradient as a rule: what lies there need not be read.
        if (step == 0 && are_all_zeros<Word>(delta, line.length)) {
            std::memset(to, 0, bytes);
            return;
        }
        if (step == 1 && !is_masked) {
            keep_beside_gradient<Word>(to, from, delta, counts, line.length);
            return;
        }
        const LineBits bits =
            is_masked ? bits_of(geometry_, staged.mask, line) : LineBits{nullptr, 0};
        for (std::int64_t element = 0; element < line.length; ++element) {
            const bool passes =
                !is_zero(load_word<Word>(delta, element)) && (!is_masked || bits[element]);
            const bool is_kept = counts[element * step] == std::byte{1} || passes;
            store_word(to, element, is_kept ? load_word<Word>(from, element) : Word{0});
        }
    });
}

}  // namespace normgraph::kernel::simd
