#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "normgraph/kernel/moments.hpp"
#include "normgraph/kernel/reference/position_reader.hpp"
#include "normgraph/kernel/reference/summation.hpp"
#include "normgraph/kernel/reference/view.hpp"

/// The nodes of the forward pass, block by block.
namespace normgraph::kernel::reference {

/// Σ(element − shift) and Σ(element − shift)² of one channel's blocks, one after the other in
/// logical order. The address is that of the channel's first element, in tensor 0 of the view.
template <typename Data>
class BlockSums {
public:
    BlockSums(const View& view, const std::byte* input, double shift,
              const CountedPositions* positions)
        : order_(view.order),
          input_(input),
          place_(view.elements),
          shift_(static_cast<term_t<Data>>(shift)),
          counting_(positions) {}

    Sums operator()(const BlockExtent& block) { return sums_about(block, read(block), shift_); }

protected:
    /// The elements, as they are when their differences are made; nullopt: one that does not count.
    using Elements = std::vector<std::optional<term_t<Data>>>;

    Elements read(const BlockExtent& block) {
        Elements elements(static_cast<std::size_t>(block.element_count()));
        for (auto& element : elements) {
            if (counting_.next()) {
                element = load<Data>(input_ + place_.offset(0));
            }
            place_.advance();
        }
        return elements;
    }

    Sums sums_about(const BlockExtent& block, const Elements& elements, term_t<Data> shift) const {
        auto element = elements.begin();
        return sum_block<Data>(order_, block, [&]() -> Term<Data> {
            const std::optional<term_t<Data>>& value = *element++;
            const term_t<Data> difference = value ? *value - shift : 0;
            return {difference, difference};
        });
    }

private:
    const SummationOrder& order_;
    const std::byte* input_;
    ViewCursor place_;
    term_t<Data> shift_;
    PositionReader counting_;
};

/// A part's moments, and how many elements it has.
struct MomentsNode {
    std::int64_t count = 0;
    Moments moments{};

    friend MomentsNode combined(const MomentsNode& left, const MomentsNode& right) {
        if (left.count == 0 || right.count == 0) {
            return left.count == 0 ? right : left;
        }
        const MergeFactors factors(static_cast<double>(left.count),
                                   static_cast<double>(right.count));
        return {left.count + right.count, merged(left.moments, right.moments, factors)};
    }
};

/// The moments of blocks, each from sums about a shift of its own.
template <typename Data>
class BlockMoments : private BlockSums<Data> {
public:
    BlockMoments(const View& view, const std::byte* input, const CountedPositions* positions)
        : BlockSums<Data>(view, input, 0.0, positions) {}

    MomentsNode operator()(const BlockExtent& block) {
        const auto elements = this->read(block);
        std::vector<term_t<Data>> counted;
        for (const auto& element : elements) {
            if (element) {
                counted.push_back(*element);
            }
        }
        if (counted.empty()) {
            return {};
        }
        const auto shift =
            shift_of_block(counted.front(), counted[counted.size() / 2], counted.back());
        const Sums sums = this->sums_about(block, elements, shift);
        const auto count = static_cast<std::int64_t>(counted.size());
        return {count,
                moments_of_block(shift, sums.values, sums.products, static_cast<double>(count))};
    }
};

}  // namespace normgraph::kernel::reference
