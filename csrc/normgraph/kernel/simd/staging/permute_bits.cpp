#include "normgraph/kernel/simd/staging/permute_bits.hpp"

#include <algorithm>
#include <bit>
#include <vector>

#include "normgraph/kernel/simd/staging/bit_matrix.hpp"
#include "normgraph/kernel/strided/ranges.hpp"
#include "normgraph/kernel/threads/interruption.hpp"
#include "normgraph/kernel/threads/parallel_for.hpp"

namespace normgraph::kernel::simd {
namespace {

constexpr std::int64_t word_bytes = word_bits / bits_per_byte;

/// Up to 64 bits that begin with any bit.
std::uint64_t load_bits(std::span<const std::byte> bytes, std::int64_t first, std::int64_t count) {
    const std::byte* const address = bytes.data() + first / bits_per_byte;
    const std::int64_t shift = first % bits_per_byte;
    const std::int64_t needed = bytes_for(shift + count);
    std::uint64_t word = 0;
    if (address + word_bytes <= bytes.data() + bytes.size()) {
        word = load_as<std::uint64_t>(address);
    } else {
        std::memcpy(&word, address, static_cast<std::size_t>(std::min(needed, word_bytes)));
    }
    word >>= shift;
    if (needed > word_bytes) {
        word |= load_as<std::uint8_t>(address + word_bytes) << (word_bits - shift);
    }
    return word & (~std::uint64_t{0} >> (word_bits - count));
}

/// Sets some of up to 64 bits that begin with any bit; the others of `bits` are 0.
void set_bits(std::span<std::byte> bytes, std::int64_t first, std::int64_t count,
              std::uint64_t bits) {
    std::byte* const address = bytes.data() + first / bits_per_byte;
    const std::int64_t shift = first % bits_per_byte;
    const std::int64_t needed = bytes_for(shift + count);
    const std::uint64_t lower = bits << shift;
    if (address + word_bytes <= bytes.data() + bytes.size()) {
        store_as<std::uint64_t>(address, load_as<std::uint64_t>(address) | lower);
    } else {
        for (std::int64_t byte = 0; byte < std::min(needed, word_bytes); ++byte) {
            address[byte] |= static_cast<std::byte>(lower >> bits_per_byte * byte);
        }
    }
    if (needed > word_bytes) {
        address[word_bytes] |= static_cast<std::byte>(bits >> (word_bits - shift));
    }
}

/// The axis along which bits follow each other, out of the list; one of length 1 if there is none.
BitAxis take_packed(std::vector<BitAxis>& axes, std::int64_t BitAxis::* stride) {
    const auto found =
        std::ranges::find_if(axes, [&](const BitAxis& axis) { return axis.*stride == 1; });
    if (found == axes.end()) {
        return {1, 0, 0};
    }
    const BitAxis axis = *found;
    axes.erase(found);
    return axis;
}

/// The plane of two axes: bits follow each other along one in the source, along the other in the
/// target.
struct BitPlane {
    std::span<const std::byte> source;
    std::span<std::byte> target;
    BitAxis along_source, along_target;

    void permute(std::int64_t from, std::int64_t to) const {
        if (along_source.target_stride == 1) {
            return copy_row(from, to);
        }
        for (std::int64_t row = 0; row < along_target.length; row += word_bits) {
            const std::int64_t rows = std::min(word_bits, along_target.length - row);
            for (std::int64_t column = 0; column < along_source.length; column += word_bits) {
                permute_block(from + row * along_target.source_stride + column,
                              to + column * along_source.target_stride + row, rows,
                              std::min(word_bits, along_source.length - column));
            }
        }
    }

private:
    void copy_row(std::int64_t from, std::int64_t to) const {
        for (std::int64_t done = 0; done < along_source.length; done += word_bits) {
            const std::int64_t count = std::min(word_bits, along_source.length - done);
            set_bits(target, to + done, count, load_bits(source, from + done, count));
        }
    }

    void permute_block(std::int64_t from, std::int64_t to, std::int64_t rows,
                       std::int64_t columns) const {
        const auto width = static_cast<std::int64_t>(
            std::bit_ceil(static_cast<std::uint64_t>(std::max(bits_per_byte, columns))));
        BitMatrix matrix(rows, width);
        for (std::int64_t row = 0; row < rows; ++row) {
            matrix.set_bits_of_channel(
                row, load_bits(source, from + row * along_target.source_stride, columns));
        }
        matrix.transpose();
        for (std::int64_t column = 0; column < columns; ++column) {
            // Of rows that there are not, the bits are 0.
            set_bits(target, to + column * along_source.target_stride, rows,
                     matrix.bits_of_element(column));
        }
    }
};

}  // namespace

void permute_bits(std::span<const std::byte> source, std::span<std::byte> target,
                  std::span<const BitAxis> axes, std::int64_t num_threads) {
    std::vector<BitAxis> loops(axes.begin(), axes.end());
    std::erase_if(loops, [](const BitAxis& axis) { return axis.length == 1; });
    BitPlane plane{source, target, take_packed(loops, &BitAxis::source_stride), {1, 0, 0}};
    if (plane.along_source.target_stride != 1) {
        plane.along_target = take_packed(loops, &BitAxis::target_stride);
    }
    BitAxis shared{1, 0, 0};
    const auto largest = std::ranges::max_element(loops, {}, &BitAxis::target_stride);
    if (largest != loops.end() && largest->target_stride % bits_per_byte == 0) {
        shared = *largest;
        loops.erase(largest);
    }
    const auto shared_bytes = static_cast<std::size_t>(shared.target_stride / bits_per_byte);
    parallel_for(shared.length, num_threads, [&](std::int64_t index) {
        BitPlane own = plane;
        if (shared.length > 1) {
            // No word reaches into the bytes of another thread.
            own.target =
                target.subspan(static_cast<std::size_t>(index) * shared_bytes, shared_bytes);
        }
        for_each_offset(loops, [&](std::int64_t to, std::int64_t from) {
            stop_if_interrupted();
            own.permute(index * shared.source_stride + from, to);
        });
    });
}

}  // namespace normgraph::kernel::simd
