#pragma once

#include <cstddef>

#include "normgraph/kernel/reference/position_reader.hpp"
#include "normgraph/kernel/reference/relu.hpp"
#include "normgraph/kernel/reference/summation.hpp"
#include "normgraph/kernel/reference/view.hpp"

namespace normgraph::kernel::reference {

/// The nodes of the backward pass: Σ normalized_delta and Σ normalized_delta·(input − mean) of one
/// channel's blocks, one after the other in logical order. Addresses are those of the channel's
/// first element, in tensors 0 and 1 of the view.
template <typename Data>
class BlockDeltas {
public:
    BlockDeltas(const View& view, const std::byte* input, const std::byte* normalized_delta,
                const GradientReader<Data>& gradient, double mean,
                const CountedPositions* positions)
        : order_(view.order),
          input_(input),
          normalized_delta_(normalized_delta),
          gradient_(gradient),
          place_(view.elements),
          center_(static_cast<term_t<Data>>(mean)),
          counting_(positions) {}

    Sums operator()(const BlockExtent& block) {
        return sum_block<Data>(order_, block, [&]() -> Term<Data> {
            const term_t<Data> delta = gradient_.next(normalized_delta_ + place_.offset(1));
            const bool is_read = counting_.next() || delta != 0;
            const term_t<Data> input = is_read ? load<Data>(input_ + place_.offset(0)) : 0;
            place_.advance();
            return {delta, input - center_};
        });
    }

private:
    const SummationOrder& order_;
    const std::byte* input_;
    const std::byte* normalized_delta_;
    GradientReader<Data> gradient_;
    ViewCursor place_;
    term_t<Data> center_;
    PositionReader counting_;
};

}  // namespace normgraph::kernel::reference
