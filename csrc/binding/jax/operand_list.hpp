#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "binding/jax/call_frame.hpp"
#include "normgraph/op/signature.hpp"
#include "normgraph/runtime/kernel_call.hpp"

namespace normgraph::binding::jax {

/// The arguments or the results of a call, of which those with a bit in `present` are there.
template <std::size_t most>
class OperandList {
public:
    OperandList(std::string_view what, std::span<const op::Port> ports,
                const ffi::Operands& operands, std::uint64_t present)
        : present_(present),
          ports_(ports),
          buffers_(buffers(what, operands, static_cast<std::size_t>(std::popcount(present_)))) {
        if (present_ >> ports.size() != 0) {
            throw std::runtime_error(std::string(what) + ": expected at most " +
                                     std::to_string(ports.size()));
        }
    }
    /// Throws std::runtime_error unless all are there that may not be left out.
    void expect_all_but_optional() const {
        for (std::size_t index = 0; index < ports_.size(); ++index) {
            if (!is_present(index) && !op::is_optional(ports_[index])) {
                throw std::runtime_error(std::string(ports_[index].name) +
                                         ": expected an argument");
            }
        }
    }
    /// Throws std::runtime_error if nothing is there.
    const ffi::Buffer& first() const {
        if (present_ == 0) {
            throw std::runtime_error("XLA's FFI: expected at least one argument and one result");
        }
        return buffer_at(buffers_, 0);
    }

    void set(std::size_t batch_rank) {
        std::size_t next = 0;
        for (std::size_t index = 0; index < ports_.size(); ++index) {
            if (is_present(index)) {
                operands_[index].set(ports_[index], buffer_at(buffers_, next++), batch_rank);
            }
        }
    }
    /// Throws std::invalid_argument unless each is there for all problems, or one for all of them.
    void expect_batch(std::span<const std::int64_t> batch) const {
        for (std::size_t index = 0; index < ports_.size(); ++index) {
            if (is_present(index) && !std::ranges::equal(operands_[index].batch_shape(), batch,
                                                         [](std::int64_t own, std::int64_t length) {
                                                             return own == 1 || own == length;
                                                         })) {
                throw std::invalid_argument(std::string(ports_[index].name) +
                                            ": expected as many problems as of the first result");
            }
        }
    }
    /// Those of one problem.
    void select(std::span<const std::int64_t> problem) {
        for (std::size_t index = 0; index < ports_.size(); ++index) {
            if (is_present(index)) {
                arrays_[index] = operands_[index].array(problem);
            }
        }
    }
    std::span<const runtime::OptionalArray> arrays() const {
        return {arrays_.data(), ports_.size()};
    }
    const Operand& first_operand() const {
        return operands_[static_cast<std::size_t>(std::countr_zero(present_))];
    }

private:
    bool is_present(std::size_t index) const { return (present_ >> index & 1U) != 0; }

    std::uint64_t present_;
    std::span<const op::Port> ports_;
    std::span<void* const> buffers_;
    std::array<Operand, most> operands_;
    std::array<runtime::OptionalArray, most> arrays_;
};

}  // namespace normgraph::binding::jax
