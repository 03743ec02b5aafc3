#include "binding/position_mask.hpp"

#include <stdexcept>

#include "binding/array_argument.hpp"
#include "normgraph/indices/axis.hpp"
#include "normgraph/runtime/position_mask.hpp"

namespace py = pybind11;

namespace normgraph::binding {

std::optional<kernel::CountedPositions> positions_from_python(py::handle where, py::handle lengths,
                                                              const runtime::Array& input,
                                                              std::int64_t channel_axis) {
    if (!is_given(where) && !is_given(lengths)) {
        return std::nullopt;
    }
    if (is_given(where) && is_given(lengths)) {
        throw std::invalid_argument("lengths: expected None beside where, got both");
    }
    const std::int64_t axis =
        axis_from_front(channel_axis, static_cast<std::int64_t>(input.shape.size()));
    ArrayArgument borrowed;
    if (is_given(where)) {
        borrowed.borrow({"where", std::nullopt, op::Role::tensor, "booleans"}, where);
        return runtime::positions_where(borrowed.view(), input, axis);
    }
    borrowed.borrow({"lengths", std::nullopt, op::Role::tensor, "integers"}, lengths);
    return runtime::positions_of_lengths(borrowed.view(), input, axis);
}

}  // namespace normgraph::binding
