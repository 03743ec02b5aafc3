#include "normgraph/kernel/simd/staging/permute_bits.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include "normgraph/indices/counts.hpp"

namespace normgraph::kernel::simd {
namespace {

using Bytes = std::vector<std::byte>;

bool bit_at(const Bytes& bytes, std::int64_t index) {
    const std::byte byte = bytes[static_cast<std::size_t>(index / bits_per_byte)];
    return (byte >> index % bits_per_byte & std::byte{1}) != std::byte{0};
}

/// The box in the order of its axes, to be read, and in another one, to be written.
struct Box {
    std::vector<BitAxis> axes;
    std::int64_t count = 1;

    Box(const std::vector<std::int64_t>& lengths, std::mt19937_64& random) {
        std::vector<std::size_t> order(lengths.size());
        for (std::size_t axis = lengths.size(); axis-- > 0;) {
            axes.insert(axes.begin(), {lengths[axis], count, 0});
            order[axis] = axis;
            count *= lengths[axis];
        }
        std::ranges::shuffle(order, random);
        std::int64_t stride = 1;
        for (const std::size_t axis : order) {
            axes[axis].target_stride = stride;
            stride *= axes[axis].length;
        }
    }

    Bytes permuted_one_by_one(const Bytes& source) const {
        Bytes target(source.size());
        for (std::int64_t index = 0; index < count; ++index) {
            std::int64_t to = 0;
            for (const BitAxis& axis : axes) {
                to += index / axis.source_stride % axis.length * axis.target_stride;
            }
            if (bit_at(source, index)) {
                target[static_cast<std::size_t>(to / bits_per_byte)] |= std::byte{1}
                                                                        << to % bits_per_byte;
            }
        }
        return target;
    }

    std::string text() const {
        std::string result;
        for (const BitAxis& axis : axes) {
            result += std::to_string(axis.length) + " bits " + std::to_string(axis.target_stride) +
                      " apart; ";
        }
        return result;
    }
};

/// Lengths on both sides of a byte and of a word, so that words begin anywhere in a byte.
TEST(PermuteBits, AnyOrderOfAxes) {
    std::mt19937_64 random(120);
    constexpr std::array<std::int64_t, 14> lengths{1,  2,  3,  5,  7,  8,   9,
                                                   31, 63, 64, 65, 71, 128, 130};
    for (int repetition = 0; repetition < 400; ++repetition) {
        std::vector<std::int64_t> chosen(1 + random() % 4);
        std::int64_t count = 1;
        for (std::int64_t& length : chosen) {
            length = lengths[random() % lengths.size()];
            length = count * length > 40000 ? 2 : length;
            count *= length;
        }
        const Box box(chosen, random);
        Bytes source(static_cast<std::size_t>(bytes_for(count)));
        std::ranges::generate(source, [&] { return static_cast<std::byte>(random()); });
        const Bytes expected = box.permuted_one_by_one(source);
        for (const std::int64_t threads : {1, 3}) {
            Bytes target(source.size());
            permute_bits(source, target, box.axes, threads);
            ASSERT_EQ(target, expected) << box.text() << threads << " threads";
        }
    }
}

}  // namespace
}  // namespace normgraph::kernel::simd
