#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "normgraph/kernel/counted_positions.hpp"

/// Batches in parts: the nodes of the tree of the canonical order (see summation_order.hpp) that
/// are known of a part, and how parts become the whole.
namespace normgraph::kernel {

/// What the two values of a node are: the mean and Σ(x − mean)², or two sums.
enum class NodeKind : std::uint8_t { moments, sums };

/// The samples of a part: where it begins, how many it has, how many a leaf has, a power of two,
/// how many elements of a channel each has, and which of them count.
struct PartSamples {
    /// nullopt: anywhere; then every leaf is kept.
    std::optional<std::int64_t> first;
    std::int64_t count;
    std::int64_t per_leaf;
    std::int64_t elements;
    const CountedPositions* positions = nullptr;  ///< of the part, those that count; null: all
};

/// The finished nodes of a part of a batch.
///
/// A boundary is the number of a sample, counted in the whole batch, at which a node ends and the
/// next one begins. A boundary goes, and its two nodes become one, as soon as both its neighbours
/// are *coarser*: of two numbers the coarser one has 0 in the lowest bit in which they differ. What
/// is left depends on the set of boundaries alone, not on the order in which they came, so that
/// appending is associative; and where all are ends of leaves, the nodes are those of the tree of
/// the whole, at most two of each size.
///
/// A part that may begin anywhere is a list of its leaves, until it follows, or is followed by, one
/// whose place is known.
class PartNodes {
public:
    /// Of an empty part.
    PartNodes(NodeKind kind, std::int64_t channels, std::optional<std::int64_t> first_sample);

    /// `leaves`: [leaf][2][channel].
    PartNodes(NodeKind kind, std::int64_t channels, const PartSamples& samples,
              const std::vector<double>& leaves);

    /// From what the accessors of another one have returned. Throws std::invalid_argument unless
    /// the sizes fit, boundaries rise from at least 0, none of a placed part is finished, and no
    /// node has fewer than no elements.
    PartNodes(NodeKind kind, std::int64_t channels, bool is_placed,
              std::vector<std::int64_t> boundaries, std::vector<std::int64_t> elements,
              std::vector<double> values);

    NodeKind kind() const { return kind_; }
    std::int64_t channels() const { return channels_; }
    /// Whether it is known where the part begins. Boundaries of another one begin with 0.
    bool is_placed() const { return is_placed_; }
    /// One more than there are nodes.
    const std::vector<std::int64_t>& boundaries() const { return boundaries_; }
    /// Of a channel, by node.
    const std::vector<std::int64_t>& elements() const { return elements_; }
    /// [node][2][channel].
    const std::vector<double>& values() const { return values_; }

    std::int64_t sample_count() const { return boundaries_.back() - boundaries_.front(); }
    /// Of a channel.
    std::int64_t element_count() const;

    /// Appends the part that follows this one, of the same kind and as many channels. If it has a
    /// place and this one has none, that follows from it; if it was placed elsewhere, it is moved,
    /// and nodes are no longer those of the tree of the whole. Empty parts tell no more than a
    /// place. Throws std::overflow_error where samples or elements are more than 64 bits count.
    void append(const PartNodes& following);

    /// The node of all, [2][channel]; zeros if there is none.
    std::vector<double> total() const;

private:
    void place_at(std::int64_t first_sample);
    void append_nodes(const PartNodes& following);
    /// Whether the two nodes at a boundary, which is neither the first nor the last, become one.
    bool is_finished(std::size_t boundary) const;
    bool has_finished_boundary() const;
    /// Makes one of the two nodes at a boundary, which is neither the first nor the last.
    void merge_at(std::size_t boundary);
    void merge_finished_nodes();

    NodeKind kind_;
    std::int64_t channels_;
    bool is_placed_;
    std::vector<std::int64_t> boundaries_;
    std::vector<std::int64_t> elements_;
    std::vector<double> values_;
};

}  // namespace normgraph::kernel
