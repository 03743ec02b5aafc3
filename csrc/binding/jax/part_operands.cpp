#include "binding/jax/part_operands.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>

#include "normgraph/indices/axis.hpp"
#include "normgraph/op/signature.hpp"
#include "normgraph/runtime/position_mask.hpp"

namespace normgraph::binding::jax {
namespace {

using kernel::CountedPositions;
using runtime::OptionalArray;

constexpr std::array<op::Port, 3> part_ports{{{"where", op::Role::where}, {"lengths"}, {"count"}}};

}  // namespace

Arguments::Arguments(const ffi::CallFrame& frame, std::size_t own_ports)
    : own(frame.arguments), of_part(frame.arguments) {
    const auto present = static_cast<std::uint64_t>(integer(frame.attributes, "inputs"));
    own_present = present & ((std::uint64_t{1} << own_ports) - 1);
    of_part_present = present >> own_ports;
    own.count = std::min<std::int64_t>(std::popcount(own_present), own.count);
    of_part.operands += own.count;
    of_part.types += own.count;
    of_part.count -= own.count;
}

PartOperands::PartOperands(const Arguments& arguments)
    : operands_("arguments", part_ports, arguments.of_part, arguments.of_part_present) {}

std::optional<CountedPositions> PartOperands::positions(const runtime::Array& input,
                                                        std::int64_t channel_axis) const {
    const OptionalArray& where = operands_.arrays()[0];
    const OptionalArray& lengths = operands_.arrays()[1];
    const std::int64_t axis =
        axis_from_front(channel_axis, static_cast<std::int64_t>(input.shape.size()));
    if (where) {
        return runtime::positions_where(*where, input, axis);
    }
    if (lengths) {
        return runtime::positions_of_lengths(*lengths, input, axis);
    }
    return std::nullopt;
}

void PartOperands::expect_elements(const std::optional<CountedPositions>& positions) const {
    if (positions && positions->count() == 0) {
        throw std::invalid_argument(std::string(operands_.arrays()[0] ? "where" : "lengths") +
                                    ": expected at least one position that counts, got none");
    }
}

std::optional<std::int64_t> PartOperands::count() const {
    const OptionalArray& count = operands_.arrays()[2];
    if (!count) {
        return std::nullopt;
    }
    if (count->element_type != element::i32 || !count->shape.empty()) {
        throw std::invalid_argument("count: expected a scalar of i32");
    }
    std::int32_t value = 0;
    std::memcpy(&value, count->address, sizeof value);
    if (value < 1) {
        throw std::invalid_argument("count: expected at least 1, got " + std::to_string(value));
    }
    return value;
}

}  // namespace normgraph::binding::jax
