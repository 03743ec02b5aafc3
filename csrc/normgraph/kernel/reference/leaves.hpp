#pragma once

#include <cstdint>

#include "normgraph/kernel/reference/summation.hpp"
#include "normgraph/kernel/reference/view.hpp"

namespace normgraph::kernel::reference {

/// Writes the two values of each leaf of one channel, in order, to [leaf][2][channel].
class LeafWriter {
public:
    LeafWriter(double* leaves, const View& view, std::int64_t channel)
        : next_(leaves + channel), channels_(view.extents.channels) {}

    void write(const Sums& leaf) {
        next_[0] = leaf.values;
        next_[channels_] = leaf.products;
        next_ += 2 * channels_;
    }

private:
    double* next_;
    std::int64_t channels_;
};

}  // namespace normgraph::kernel::reference
