#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/fused_multiply_add.hpp"
#include "normgraph/kernel/summation_order.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

/// The canonical summation order in its plainest form: reduce a block to a node, combine the nodes.
namespace normgraph::kernel::reference {

/// What an element adds to the two sums of a channel: value, and value·factor.
template <typename Data>
struct Term {
    term_t<Data> value, factor;
};

/// Σ value and Σ value·factor.
struct Sums {
    double values = 0.0, products = 0.0;

    friend Sums combined(const Sums& left, const Sums& right) {
        return {left.values + right.values, left.products + right.products};
    }
};

inline double combined(double left, double right) {
    return left + right;
}

/// The upper half of the lanes onto the lower half, until one is left. Their number is a power of
/// two.
template <typename Node>
Node folded(std::span<Node> lanes) {
    for (std::size_t half = lanes.size() / 2; half > 0; half /= 2) {
        for (std::size_t lane = 0; lane < half; ++lane) {
            lanes[lane] = combined(lanes[lane], lanes[lane + half]);
        }
    }
    return lanes[0];
}

/// One accumulator of a block. Terms of 16-bit data are added in float until the chain ends, those
/// of all other data in double from the beginning.
template <typename Data>
class Lane {
public:
    void add(const Term<Data>& term) {
        values_ += term.value;
        products_ = fused_multiply_add(term.value, term.factor, products_);
    }
    void end_chain() {
        if constexpr (std::is_same_v<term_t<Data>, float>) {
            sums_ = combined(sums_, {values_, products_});
            values_ = products_ = 0;
        }
    }
    Sums sums() const {
        return std::is_same_v<term_t<Data>, float> ? sums_ : Sums{values_, products_};
    }

private:
    term_t<Data> values_ = 0, products_ = 0;
    Sums sums_;
};

/// The accumulators of one block.
template <typename Data>
class Lanes {
public:
    explicit Lanes(std::int64_t count) : count_(static_cast<std::size_t>(count)) {}

    void add(std::int64_t lane, const Term<Data>& term) {
        lanes_[static_cast<std::size_t>(lane)].add(term);
    }
    void end_step() {
        if (++steps_ % steps_per_chain == 0) {
            end_chains();
        }
    }
    Sums fold() {
        end_chains();
        std::array<Sums, most_lanes> sums;
        std::ranges::transform(lanes_, sums.begin(), &Lane<Data>::sums);
        return folded(std::span(sums).first(count_));
    }

private:
    void end_chains() {
        for (Lane<Data>& lane : lanes_) {
            lane.end_chain();
        }
    }

    std::size_t count_;
    std::int64_t steps_ = 0;
    std::array<Lane<Data>, most_lanes> lanes_;
};

/// Sums `terms()` over one block. `terms` returns the next element's term, in logical order.
template <typename Data, typename Terms>
Sums sum_block(const SummationOrder& order, const BlockExtent& block, Terms&& terms) {
    stop_if_interrupted();
    Lanes<Data> lanes(order.lanes);
    for (std::int64_t row = block.row; row < block.row_end; ++row) {
        for (std::int64_t first = block.first; first < block.end; first += order.lanes) {
            for (std::int64_t lane = 0; lane < std::min(order.lanes, block.end - first); ++lane) {
                lanes.add(lane, terms());
            }
            lanes.end_step();
        }
    }
    return lanes.fold();
}

/// Combines nodes as they come, in the tree that splits at the largest power of two: like a binary
/// counter, whose digit k is a finished subtree of 2^k nodes. The function `combined` combines two.
template <typename Node>
class NodeTree {
public:
    void append(Node subtree) {
        for (std::uint64_t digits = count_; (digits & 1) != 0; digits >>= 1) {
            subtree = combined(subtrees_.back(), subtree);
            subtrees_.pop_back();
        }
        subtrees_.push_back(subtree);
        ++count_;
    }

    /// The node of all; Node() if there was none.
    Node total() const {
        if (subtrees_.empty()) {
            return {};
        }
        Node result = subtrees_.back();
        for (std::size_t index = subtrees_.size() - 1; index-- > 0;) {
            result = combined(subtrees_[index], result);
        }
        return result;
    }

private:
    std::uint64_t count_ = 0;
    std::vector<Node> subtrees_;
};

/// Calls `take(node)` with the node of each leaf of one channel. `node_of(block)` is called for one
/// block after the other, in logical order.
template <typename Node, typename NodeOf, typename Take>
void for_each_leaf(const SummationOrder& order, NodeOf&& node_of, Take&& take) {
    for (std::int64_t block = 0; block < order.block_count();) {
        NodeTree<Node> pieces;
        for (std::int64_t piece = 0; piece < order.blocks_per_leaf; ++piece) {
            pieces.append(node_of(order.extent_of(block++)));
        }
        take(pieces.total());
    }
}

/// The node of one channel.
template <typename Node, typename NodeOf>
Node combine_blocks(const SummationOrder& order, NodeOf&& node_of) {
    NodeTree<Node> leaves;
    for_each_leaf<Node>(order, node_of, [&](const Node& leaf) { leaves.append(leaf); });
    return leaves.total();
}

}  // namespace normgraph::kernel::reference
