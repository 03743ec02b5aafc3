#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "binding/jax/call_frame.hpp"
#include "binding/jax/operand_list.hpp"
#include "normgraph/kernel/counted_positions.hpp"
#include "normgraph/runtime/array.hpp"

namespace normgraph::binding::jax {

/// The arguments of a call: those of the op, and those that tell which part of a batch it is. The
/// call's attribute `inputs` has a bit for each that is there, the op's first.
struct Arguments {
    Arguments(const ffi::CallFrame& frame, std::size_t own_ports);

    ffi::Operands own;
    ffi::Operands of_part;
    std::uint64_t own_present;
    std::uint64_t of_part_present;
};

/// What a call takes behind the op's own arguments: `where` or `lengths`, as the functions on
/// arrays have them, and `count`, how many elements of a channel count in a batch of which this is
/// a part.
class PartOperands {
public:
    explicit PartOperands(const Arguments& arguments);

    void set(std::size_t batch_rank) { operands_.set(batch_rank); }
    void expect_batch(std::span<const std::int64_t> batch) const { operands_.expect_batch(batch); }
    void select(std::span<const std::int64_t> problem) { operands_.select(problem); }

    /// Those of the selected problem's input that count; nullopt: all. Throws
    /// std::invalid_argument, which begins with the argument's name.
    std::optional<kernel::CountedPositions> positions(const runtime::Array& input,
                                                      std::int64_t channel_axis) const;
    /// Throws std::invalid_argument where none counts.
    void expect_elements(const std::optional<kernel::CountedPositions>& positions) const;
    /// That of the selected problem; nullopt where it is not given.
    std::optional<std::int64_t> count() const;

private:
    OperandList<3> operands_;
};

}  // namespace normgraph::binding::jax
