#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/simd/staging/permute_bits.hpp"
#include "normgraph/kernel/simd/staging/traversal.hpp"

namespace normgraph::kernel::simd {

/// A problem with its axes in the order in which the target's lie in memory, the outermost first.
/// Apply, which computes each element by itself, takes it in the place of the problem: so it goes
/// through a target in any order of the axes as through one in C order. Sums keep the logical
/// order.
class MemoryOrder {
public:
    /// `problem` and `tensors` outlive it.
    MemoryOrder(const Problem& problem, const TensorList& tensors);
    MemoryOrder(const MemoryOrder&) = delete;  // it refers to itself
    MemoryOrder& operator=(const MemoryOrder&) = delete;

    const Problem& problem() const { return problem_; }
    const TensorList& tensors() const { return tensors_; }
    /// Whether it is the logical order.
    bool is_logical() const { return axes_.empty(); }
    /// The problem's axes in this order; those of length 1 may be missing.
    std::span<const std::size_t> axes() const { return axes_; }

private:
    std::span<const std::int64_t> in_order(std::span<const std::int64_t> values,
                                           std::vector<std::int64_t>& storage) const;

    Problem problem_;
    TensorList tensors_;
    std::vector<std::size_t> axes_;  ///< empty if the order is the logical one
    std::vector<std::int64_t> shape_, target_strides_;
    std::array<std::vector<std::int64_t>, most_sources> source_strides_;
    std::array<ConstTensor, most_sources> sources_;
};

/// The traversal of each phase.
class Traversals {
public:
    /// Problem and tensors outlive it.
    Traversals(const Problem& problem, const TensorList& tensors);

    const Traversal& reduce() const { return reduce_; }
    const Traversal& apply() const { return apply_ ? *apply_ : reduce_; }

    void set_reduce_sources(std::span<const std::size_t> sources);
    void set_apply_sources(std::span<const std::size_t> sources);
    /// Masks lie in the logical order. Where apply has another one, it takes a mask of its own,
    /// whose bits are permuted: those that are read here, those that are written in finish_mask().
    void set_mask(std::byte* address, bool is_written, std::int64_t num_threads);
    void finish_mask(std::int64_t num_threads);
    /// Which positions count, if not all, in reduce, and in apply if what it does depends on it: to
    /// be set before a mask, since apply then takes the logical order, in which positions lie.
    void set_positions(const CountedPositions* positions, bool are_applied);

private:
    /// The axes of a mask's bits, from the logical order to that of memory.
    std::vector<BitAxis> bit_axes() const;
    std::span<std::byte> logical_mask() const;

    Problem problem_;
    Traversal reduce_;
    std::optional<MemoryOrder> order_;
    std::optional<Traversal> apply_;
    std::byte* mask_ = nullptr;
    std::vector<std::byte> mask_in_memory_order_;
};

}  // namespace normgraph::kernel::simd
