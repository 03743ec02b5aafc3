#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "binding/jax/ffi.hpp"
#include "normgraph/op/signature.hpp"
#include "normgraph/runtime/kernel_call.hpp"

/// What XLA calls a handler with, checked and in the project's terms.
namespace normgraph::binding::jax {

/// Does what is common to all handlers: answers what XLA asks when a handler is registered, checks
/// that the frame is as large as it is declared here, and turns what `run(frame)` throws into
/// XLA's error.
ffi::Error* handle(ffi::CallFrame* frame, void (*run)(const ffi::CallFrame& frame)) noexcept;

/// As many buffers as expected. Throws std::runtime_error, which says what came, for others.
std::span<void* const> buffers(std::string_view what, const ffi::Operands& operands,
                               std::size_t expected);

const ffi::Buffer& buffer_at(std::span<void* const> buffers, std::size_t index);

/// The attribute of this name. Throws std::runtime_error for one of another type; the optional form
/// is nullopt where there is none, where the others throw.
double number(const ffi::Attributes& attributes, std::string_view name);
std::optional<double> optional_number(const ffi::Attributes& attributes, std::string_view name);
std::int64_t integer(const ffi::Attributes& attributes, std::string_view name);

/// A buffer of a call for a batch of problems, whose axes are the first ones: an array for each
/// problem. An axis of length 1 counts for all of a batch.
///
/// Doubles come and go as pairs of u32, their bits, along one more axis, the last: JAX has no
/// doubles unless its user asks for them, and statistics are not to be rounded.
class Operand {
public:
    /// Throws std::invalid_argument, which begins with the port's name, for a buffer that is no
    /// array of a type that normgraph has.
    void set(const op::Port& port, const ffi::Buffer& buffer, std::size_t batch_rank);

    /// Of the batch.
    std::span<const std::int64_t> batch_shape() const { return {shape_.data(), batch_rank_}; }
    /// That of the problem with these indices.
    runtime::Array array(std::span<const std::int64_t> problem) const;

private:
    static constexpr std::size_t max_rank = 64;

    element::Type element_type_;
    std::byte* address_ = nullptr;
    std::size_t batch_rank_ = 0, rank_ = 0;
    std::array<std::int64_t, max_rank> shape_;
    std::array<std::int64_t, max_rank> strides_;  ///< in bytes
};

}  // namespace normgraph::binding::jax
