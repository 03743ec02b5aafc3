#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/counted_positions.hpp"

namespace normgraph::kernel::reference {

/// Tells of each element of a channel, in logical order, whether it counts.
class PositionReader {
public:
    /// Null: all do.
    explicit PositionReader(const CountedPositions* positions) : positions_(positions) {}

    bool next() { return positions_ == nullptr || positions_->counts(position_++); }

private:
    const CountedPositions* positions_;
    std::int64_t position_ = 0;
};

}  // namespace normgraph::kernel::reference
