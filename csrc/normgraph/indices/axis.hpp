#pragma once

#include <cstdint>

namespace normgraph {

/// An axis counted from the first one; a negative one counts from the last. −rank <= axis < rank.
constexpr std::int64_t axis_from_front(std::int64_t axis, std::int64_t rank) {
    return axis < 0 ? axis + rank : axis;
}

}  // namespace normgraph
