#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "normgraph/kernel/moments.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"

namespace normgraph::kernel::simd {

/// Combines nodes of sums.
inline void add_nodes(const double* left, double* right, std::int64_t length,
                      const MergeFactors& /*factors*/) {
    for (std::int64_t index = 0; index < length; ++index) {
        right[index] = left[index] + right[index];
    }
}

/// Combines the nodes of blocks, of many channels at once, in the tree of the canonical order: like
/// a binary counter, whose digit k is a finished subtree of 2^k nodes.
class NodeTree {
public:
    static constexpr std::int64_t levels_for(std::int64_t nodes) {
        std::int64_t levels = 1;
        while ((std::int64_t{1} << levels) <= nodes) {
            ++levels;
        }
        return levels;
    }

    /// `storage`: levels_for(nodes) · length doubles.
    NodeTree(double* storage, std::int64_t length, CombineNodes combine_nodes = add_nodes)
        : storage_(storage), length_(length), combine_(combine_nodes) {}

    bool is_empty() const { return count_ == 0; }
    std::int64_t node_count() const { return static_cast<std::int64_t>(count_); }

    /// Appends the next node, of so many elements of each channel, which sums need not tell; `node`
    /// is overwritten.
    void append(double* node, double elements = 1.0) {
        std::size_t level = 0;
        for (std::uint64_t digits = count_; (digits & 1) != 0; digits >>= 1) {
            combine(level, node, elements);
            elements += elements_[level++];
        }
        copy(node, level_at(level));
        elements_[level] = elements;
        ++count_;
    }

    /// Sets the node of all, zeros if there was none. Returns its elements of each channel.
    double total(double* node) const {
        std::memset(node, 0, static_cast<std::size_t>(length_) * sizeof(double));
        double elements = 0.0;
        bool is_first = true;
        std::size_t level = 0;
        for (std::uint64_t digits = count_; digits != 0; digits >>= 1, ++level) {
            if ((digits & 1) == 0) {
                continue;
            }
            is_first ? copy(level_at(level), node) : combine(level, node, elements);
            elements += elements_[level];
            is_first = false;
        }
        return elements;
    }

    void clear() { count_ = 0; }

private:
    double* level_at(std::size_t level) const {
        return storage_ + static_cast<std::int64_t>(level) * length_;
    }

    /// The subtree of a level and the node, of so many elements, which stands to the right of it.
    /// One of no elements changes nothing.
    void combine(std::size_t level, double* node, double elements) const {
        if (elements == 0.0) {
            copy(level_at(level), node);
        } else if (elements_[level] > 0.0) {
            combine_(level_at(level), node, length_, MergeFactors(elements_[level], elements));
        }
    }
    void copy(const double* from, double* to) const {
        std::memcpy(to, from, static_cast<std::size_t>(length_) * sizeof(double));
    }

    double* storage_;
    std::int64_t length_;
    CombineNodes combine_;
    std::uint64_t count_ = 0;
    std::array<double, 64> elements_;  ///< of each channel, by level; set with its node
};

/// The trees of the canonical order: of the pieces of each leaf, and of the leaves.
class LeafTree {
public:
    static constexpr std::int64_t levels_for(std::int64_t nodes, std::int64_t nodes_per_leaf) {
        return NodeTree::levels_for(nodes_per_leaf) + NodeTree::levels_for(nodes / nodes_per_leaf);
    }

    /// For at most `nodes` nodes, of whole leaves or within one. `storage`: levels_for(nodes,
    /// nodes_per_leaf) · length doubles.
    LeafTree(double* storage, std::int64_t length, CombineNodes combine_nodes,
             std::int64_t nodes_per_leaf)
        : nodes_per_leaf_(nodes_per_leaf),
          pieces_(storage, length, combine_nodes),
          leaves_(storage + NodeTree::levels_for(nodes_per_leaf) * length, length, combine_nodes) {}

    /// Appends the next node, of so many elements of each channel; `node` is overwritten.
    void append(double* node, double elements) {
        if (nodes_per_leaf_ == 1) {
            return leaves_.append(node, elements);
        }
        pieces_.append(node, elements);
        if (pieces_.node_count() == nodes_per_leaf_) {
            elements = pieces_.total(node);
            pieces_.clear();
            leaves_.append(node, elements);
        }
    }

    /// Sets the node of all: of leaves, or of the pieces of one.
    void total(double* node) const { (leaves_.is_empty() ? pieces_ : leaves_).total(node); }

private:
    std::int64_t nodes_per_leaf_;
    NodeTree pieces_, leaves_;
};

}  // namespace normgraph::kernel::simd
