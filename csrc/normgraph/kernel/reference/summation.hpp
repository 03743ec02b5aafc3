#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "normgraph/kernel/summation_order.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

/// The canonical summation order in its plainest form: reduce a block, combine the blocks.
namespace normgraph::kernel::reference {

template <std::size_t SumCount>
using Sums = std::array<double, SumCount>;

template <std::size_t SumCount>
Sums<SumCount> add(const Sums<SumCount>& left, const Sums<SumCount>& right) {
    Sums<SumCount> result;
    for (std::size_t sum = 0; sum < SumCount; ++sum) {
        result[sum] = left[sum] + right[sum];
    }
    return result;
}

/// The accumulators of one block.
template <std::size_t SumCount>
class Lanes {
public:
    explicit Lanes(std::int64_t count) : count_(static_cast<std::size_t>(count)) {}

    void add_term(std::size_t lane, const Sums<SumCount>& terms) {
        sums_[lane] = add(sums_[lane], terms);
    }

    /// Upper half onto lower half until one lane is left.
    Sums<SumCount> fold() {
        for (std::size_t half = count_ / 2; half > 0; half /= 2) {
            for (std::size_t lane = 0; lane < half; ++lane) {
                sums_[lane] = add(sums_[lane], sums_[lane + half]);
            }
        }
        return sums_[0];
    }

private:
    std::size_t count_;
    std::array<Sums<SumCount>, lanes_per_step> sums_{};
};

/// Adds blocks as they come, in the tree that splits at the largest power of two: like a binary
/// counter, whose digit k is a finished subtree of 2^k blocks.
template <std::size_t SumCount>
class BlockTree {
public:
    void append(Sums<SumCount> subtree) {
        for (std::uint64_t digits = count_; (digits & 1) != 0; digits >>= 1) {
            subtree = add(subtrees_.back(), subtree);
            subtrees_.pop_back();
        }
        subtrees_.push_back(subtree);
        ++count_;
    }

    /// The sum of all; zeros if there was none.
    Sums<SumCount> total() const {
        if (subtrees_.empty()) {
            return {};
        }
        Sums<SumCount> result = subtrees_.back();
        for (std::size_t index = subtrees_.size() - 1; index-- > 0;) {
            result = add(subtrees_[index], result);
        }
        return result;
    }

private:
    std::uint64_t count_ = 0;
    std::vector<Sums<SumCount>> subtrees_;
};

/// Sums `terms()` over one channel. `terms` returns the next element's terms in logical order.
template <std::size_t SumCount, typename Terms>
Sums<SumCount> sum_channel(const SummationOrder& order, Terms&& terms) {
    const std::int64_t piece_length =
        order.rows_are_split() ? order.elements_per_block() : order.row_length;
    const std::int64_t rows_per_block = order.rows_are_split() ? 1 : order.rows_per_block();
    BlockTree<SumCount> tree;
    for (std::int64_t row = 0; row < order.row_count; row += rows_per_block) {
        const std::int64_t rows = std::min(rows_per_block, order.row_count - row);
        for (std::int64_t start = 0; start < order.row_length; start += piece_length) {
            const std::int64_t length = std::min(piece_length, order.row_length - start);
            stop_if_interrupted();
            Lanes<SumCount> lanes(order.lanes);
            for (std::int64_t row_in_block = 0; row_in_block < rows; ++row_in_block) {
                for (std::int64_t element = 0; element < length; ++element) {
                    lanes.add_term(static_cast<std::size_t>(element & (order.lanes - 1)), terms());
                }
            }
            tree.append(lanes.fold());
        }
    }
    return tree.total();
}

}  // namespace normgraph::kernel::reference
