#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "normgraph/kernel/summation_order.hpp"

namespace normgraph::kernel {

/// Which positions of a batch count. A position is one index of all axes but the channel axis: its
/// elements, one of each channel, all count or do not.
///
/// Only what counts enters the statistics of a batch, and n is the number of it. An element that
/// does not count is normalized all the same, and in the backward pass its gradient is a term of
/// both sums; where that gradient is 0 the element is taken for 0, so that whatever lies there adds
/// nothing. Its input_delta is gamma·inv·normalized_delta, since the statistics do not depend on
/// it.
class CountedPositions {
public:
    /// One byte for each position, in the logical order of the axes: 1 where it counts, else 0.
    explicit CountedPositions(std::vector<std::byte> bytes)
        : bytes_(std::move(bytes)), count_(std::ranges::count(bytes_, std::byte{1})) {}

    /// Of a channel's elements.
    std::int64_t count() const { return count_; }

    /// In logical order.
    bool counts(std::int64_t position) const {
        return bytes_[static_cast<std::size_t>(position)] == std::byte{1};
    }

    /// The byte of element `index` of a row; those of the elements after it follow.
    const std::byte* at(const SummationOrder& order, std::int64_t row, std::int64_t index) const {
        return bytes_.data() + row * order.row_length + index;
    }

    /// Of positions [begin, end), in logical order.
    std::int64_t count_between(std::int64_t begin, std::int64_t end) const {
        return std::count(bytes_.begin() + begin, bytes_.begin() + end, std::byte{1});
    }

    std::int64_t count_in(const SummationOrder& order, const BlockExtent& extent) const {
        std::int64_t count = 0;
        for (std::int64_t row = extent.row; row < extent.row_end; ++row) {
            count +=
                std::count(at(order, row, extent.first), at(order, row, extent.end), std::byte{1});
        }
        return count;
    }

    /// The places, among the elements of a block, of its first, its middle (number n/2 of n,
    /// counted from 0) and its last element that counts; one does.
    std::array<std::int64_t, 3> shift_places(const SummationOrder& order,
                                             const BlockExtent& extent) const {
        const std::int64_t count = count_in(order, extent);
        const std::array<std::int64_t, 3> wanted{0, count / 2, count - 1};
        std::array<std::int64_t, 3> places{};
        std::int64_t passed = 0, counted = 0;
        for (std::int64_t row = extent.row; row < extent.row_end; ++row) {
            const std::byte* const bytes = at(order, row, extent.first);
            for (std::int64_t index = 0; index < extent.end - extent.first; ++index, ++passed) {
                if (bytes[index] != std::byte{1}) {
                    continue;
                }
                for (std::size_t which = 0; which < wanted.size(); ++which) {
                    places[which] = counted == wanted[which] ? passed : places[which];
                }
                ++counted;
            }
        }
        return places;
    }

private:
    std::vector<std::byte> bytes_;
    std::int64_t count_;
};

/// Of so many elements of a channel those that count; null: all.
inline std::int64_t counted_of(std::int64_t elements, const CountedPositions* positions) {
    return positions == nullptr ? elements : positions->count();
}

}  // namespace normgraph::kernel
