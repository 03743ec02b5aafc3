#include "binding/jax/shard_handlers.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "binding/jax/call_frame.hpp"
#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/runtime/batch_part.hpp"

namespace normgraph::binding::jax {
namespace {

using runtime::BatchPart;
using runtime::OptionalArray;

runtime::PartOptions options_of(const ffi::CallFrame& frame) {
    return {integer(frame.attributes, "channel_axis"), std::nullopt, kernel::get_num_threads(),
            &kernel::chosen_implementation()};
}

/// The bytes of a buffer of u8 whose last axis is what one shard has sent.
std::span<std::byte> bytes_of(const ffi::Buffer& buffer) {
    if (buffer.type != ffi::DataType::u8 || buffer.rank == 0) {
        throw std::invalid_argument("nodes: expected an array of u8");
    }
    std::size_t size = 1;
    for (std::int64_t axis = 0; axis < buffer.rank; ++axis) {
        size *= static_cast<std::size_t>(buffer.lengths[axis]);
    }
    return {static_cast<std::byte*>(buffer.data), size};
}

void put(const BatchPart& part, const ffi::CallFrame& frame) {
    const std::span<std::byte> result =
        bytes_of(buffer_at(buffers("results", frame.results, 1), 0));
    const std::vector<std::byte> bytes = part.to_bytes();
    if (bytes.size() != result.size()) {
        throw std::invalid_argument("nodes: expected an array of " + std::to_string(bytes.size()) +
                                    " bytes, got " + std::to_string(result.size()));
    }
    std::ranges::copy(bytes, result.begin());
}

/// The sum of the parts of all shards, in their order.
BatchPart combined(const ffi::Buffer& gathered) {
    const std::span<const std::byte> bytes = bytes_of(gathered);
    const auto size = static_cast<std::size_t>(gathered.lengths[gathered.rank - 1]);
    if (bytes.empty()) {
        throw std::invalid_argument("nodes: expected those of at least one shard");
    }
    BatchPart total = BatchPart::from_bytes(bytes.first(size));
    for (std::size_t begin = size; begin < bytes.size(); begin += size) {
        total = total.followed_by(BatchPart::from_bytes(bytes.subspan(begin, size)));
    }
    return total;
}

void put_vector(std::span<const double> values, const ffi::Buffer& result) {
    if (result.type != ffi::DataType::u32 || result.rank != 2 || result.lengths[1] != 2 ||
        result.lengths[0] != static_cast<std::int64_t>(values.size())) {
        throw std::invalid_argument("expected an array of u32 (" + std::to_string(values.size()) +
                                    ", 2), the bits of doubles");
    }
    std::memcpy(result.data, values.data(), values.size_bytes());
}

void reduce_statistics(const ffi::CallFrame& frame) {
    const bool has_gathered = integer(frame.attributes, "inputs") == 0b11;
    const auto arguments = buffers("arguments", frame.arguments, has_gathered ? 2 : 1);
    Operand input;
    input.set(runtime::statistics_inputs()[0], buffer_at(arguments, 0), 0);
    const runtime::Array array = input.array({});
    const runtime::PartOptions options = options_of(frame);
    std::optional<BatchPart> about;
    if (has_gathered) {
        about = combined(buffer_at(arguments, 1));
    }
    const BatchPart* const about_or_null = about ? &*about : nullptr;
    runtime::check_statistics_inputs(array, options, about_or_null);
    put(runtime::batch_norm_statistics(array, options, about_or_null), frame);
}

void reduce_sums(const ffi::CallFrame& frame) {
    const auto ports = runtime::backprop_sums_inputs();
    const bool has_mask = integer(frame.attributes, "inputs") == 0b11111;
    const auto arguments =
        buffers("arguments", frame.arguments, has_mask ? ports.size() : ports.size() - 1);
    std::array<Operand, 5> operands;
    std::array<OptionalArray, 5> arrays;
    for (std::size_t index = 0; index < arguments.size(); ++index) {
        operands[index].set(ports[index], buffer_at(arguments, index), 0);
        arrays[index] = operands[index].array({});
    }
    const runtime::PartOptions options = options_of(frame);
    runtime::check_backprop_sums_inputs(arrays, options);
    put(runtime::batch_norm_backprop_sums(arrays, options), frame);
}

void combine_statistics(const ffi::CallFrame& frame) {
    const BatchPart total = combined(buffer_at(buffers("arguments", frame.arguments, 1), 0));
    const auto results = buffers("results", frame.results, 2);
    if (!total.has_statistics()) {
        throw std::invalid_argument("nodes: expected those of statistics");
    }
    const auto [mean, variance] = total.statistics();
    put_vector(mean, buffer_at(results, 0));
    put_vector(variance, buffer_at(results, 1));
}

void combine_sums(const ffi::CallFrame& frame) {
    const BatchPart total = combined(buffer_at(buffers("arguments", frame.arguments, 1), 0));
    const auto results = buffers("results", frame.results, 2);
    if (total.has_statistics()) {
        throw std::invalid_argument("nodes: expected those of the sums of a backward pass");
    }
    const std::vector<double> sums = total.sums();
    put_vector(std::span(sums).first(sums.size() / 2), buffer_at(results, 0));
    put_vector(std::span(sums).last(sums.size() / 2), buffer_at(results, 1));
}

template <void (*run)(const ffi::CallFrame&)>
ffi::Error* handler(ffi::CallFrame* frame) {
    return handle(frame, run);
}

constexpr std::array targets{
    Target{"BatchStatistics", handler<reduce_statistics>},
    Target{"BackpropSums", handler<reduce_sums>},
    Target{"CombinedStatistics", handler<combine_statistics>},
    Target{"CombinedSums", handler<combine_sums>},
};

}  // namespace

std::span<const Target> shard_targets() {
    return targets;
}

}  // namespace normgraph::binding::jax
