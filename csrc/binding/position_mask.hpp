#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>

#include "normgraph/kernel/counted_positions.hpp"
#include "normgraph/runtime/array.hpp"

namespace normgraph::binding {

/// Whether an argument that may be left out is there: neither null nor None.
inline bool is_given(pybind11::handle argument) {
    return argument && !argument.is_none();
}

/// The arguments `where` and `lengths` of a call, of which one at most is given: null or None
/// stands for all positions. Raises TypeError for what is no array, ValueError for both, and for
/// what does not go with `input`.
std::optional<kernel::CountedPositions> positions_from_python(pybind11::handle where,
                                                              pybind11::handle lengths,
                                                              const runtime::Array& input,
                                                              std::int64_t channel_axis);

}  // namespace normgraph::binding
