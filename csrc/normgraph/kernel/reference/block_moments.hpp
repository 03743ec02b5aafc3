#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "normgraph/kernel/moments.hpp"
#include "normgraph/kernel/reference/summation.hpp"
#include "normgraph/kernel/reference/view.hpp"

/// The nodes of the forward pass, block by block.
namespace normgraph::kernel::reference {

/// Σ(element − shift) and Σ(element − shift)² of one channel's blocks, one after the other in
/// logical order. The address is that of the channel's first element, in tensor 0 of the view.
template <typename Data>
class BlockSums {
public:
    BlockSums(const View& view, const std::byte* input, double shift)
        : order_(view.order),
          input_(input),
          place_(view.elements),
          shift_(static_cast<term_t<Data>>(shift)) {}

    Sums operator()(const BlockExtent& block) { return sums_about(block, read(block), shift_); }

protected:
    /// The elements, as they are when their differences are made.
    std::vector<term_t<Data>> read(const BlockExtent& block) {
        std::vector<term_t<Data>> elements(static_cast<std::size_t>(block.element_count()));
        for (auto& element : elements) {
            element = load<Data>(input_ + place_.offset(0));
            place_.advance();
        }
        return elements;
    }

    Sums sums_about(const BlockExtent& block, const std::vector<term_t<Data>>& elements,
                    term_t<Data> shift) const {
        auto element = elements.begin();
        return sum_block<Data>(order_, block, [&]() -> Term<Data> {
            const term_t<Data> difference = *element++ - shift;
            return {difference, difference};
        });
    }

private:
    const SummationOrder& order_;
    const std::byte* input_;
    ViewCursor place_;
    term_t<Data> shift_;
};

/// A part's moments, and how many elements it has.
struct MomentsNode {
    std::int64_t count = 0;
    Moments moments{};

    friend MomentsNode combined(const MomentsNode& left, const MomentsNode& right) {
        const MergeFactors factors(static_cast<double>(left.count),
                                   static_cast<double>(right.count));
        return {left.count + right.count, merged(left.moments, right.moments, factors)};
    }
};

/// The moments of blocks, each from sums about a shift of its own.
template <typename Data>
class BlockMoments : private BlockSums<Data> {
public:
    BlockMoments(const View& view, const std::byte* input) : BlockSums<Data>(view, input, 0.0) {}

    MomentsNode operator()(const BlockExtent& block) {
        const auto elements = this->read(block);
        const auto shift =
            shift_of_block(elements.front(), elements[elements.size() / 2], elements.back());
        const Sums sums = this->sums_about(block, elements, shift);
        const std::int64_t count = block.element_count();
        return {count,
                moments_of_block(shift, sums.values, sums.products, static_cast<double>(count))};
    }
};

}  // namespace normgraph::kernel::reference
