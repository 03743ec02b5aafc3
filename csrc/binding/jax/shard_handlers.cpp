#include "binding/jax/shard_handlers.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "binding/jax/call_frame.hpp"
#include "binding/jax/operand_list.hpp"
#include "binding/jax/part_operands.hpp"
#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/runtime/batch_part.hpp"

namespace normgraph::binding::jax {
namespace {

using runtime::BatchPart;

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

/// What stands in the place of a shard's nodes if it has failed, before the message, which ends
/// with a null: so that all shards fail with it, and none waits for nodes that will not come.
constexpr std::string_view error_mark = "NGERROR:";

void put_error(std::string_view message, std::span<std::byte> result) {
    if (result.size() <= error_mark.size()) {
        throw std::runtime_error(std::string(message));
    }
    std::ranges::fill(result, std::byte{0});
    std::memcpy(result.data(), error_mark.data(), error_mark.size());
    const std::span<std::byte> rest = result.subspan(error_mark.size());
    std::memcpy(rest.data(), message.data(), std::min(message.size(), rest.size() - 1));
}

/// The part with these bytes. Throws std::invalid_argument with the message of a shard that failed.
BatchPart part_of_shard(std::size_t shard, std::span<const std::byte> bytes) {
    const auto* const characters = reinterpret_cast<const char*>(bytes.data());
    if (std::string_view(characters, bytes.size()).starts_with(error_mark)) {
        throw std::invalid_argument("shard " + std::to_string(shard) + ": " +
                                    (characters + error_mark.size()));
    }
    return BatchPart::from_bytes(bytes);
}

void put(const BatchPart& part, std::span<std::byte> result) {
    const std::vector<std::byte> bytes = part.to_bytes();
    if (bytes.size() != result.size()) {
        throw std::invalid_argument("nodes: expected an array of " + std::to_string(bytes.size()) +
                                    " bytes, got " + std::to_string(result.size()));
    }
    std::ranges::copy(bytes, result.begin());
}

template <BatchPart (*reduce)(const ffi::CallFrame&)>
void put_nodes(const ffi::CallFrame& frame) {
    const std::span<std::byte> result =
        bytes_of(buffer_at(buffers("results", frame.results, 1), 0));
    try {
        put(reduce(frame), result);
    } catch (const std::exception& error) {
        put_error(error.what(), result);
    }
}

/// The sum of the parts of all shards, in their order.
BatchPart combined(const ffi::Buffer& gathered) {
    const std::span<const std::byte> bytes = bytes_of(gathered);
    const auto size = static_cast<std::size_t>(gathered.lengths[gathered.rank - 1]);
    if (bytes.empty()) {
        throw std::invalid_argument("nodes: expected those of at least one shard");
    }
    BatchPart total = part_of_shard(0, bytes.first(size));
    for (std::size_t begin = size; begin < bytes.size(); begin += size) {
        total = total.followed_by(part_of_shard(begin / size, bytes.subspan(begin, size)));
    }
    return total;
}

/// The same, of statistics. Throws std::invalid_argument where nothing counts.
BatchPart combined_statistics_of(const ffi::Buffer& gathered) {
    BatchPart total = combined(gathered);
    if (!total.has_statistics()) {
        throw std::invalid_argument("nodes: expected those of statistics");
    }
    if (total.count() == 0) {
        throw std::invalid_argument(
            "where, lengths: expected at least one position that counts on all shards together, "
            "got none");
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

BatchPart reduced_statistics(const ffi::CallFrame& frame) {
    const Arguments arguments(frame, 2);
    const bool has_gathered = arguments.own_present == 0b11;
    const auto own = buffers("arguments", arguments.own, has_gathered ? 2 : 1);
    PartOperands part(arguments);
    part.set(0);
    part.select({});
    Operand input;
    input.set(runtime::statistics_inputs()[0], buffer_at(own, 0), 0);
    const runtime::Array array = input.array({});
    runtime::PartOptions options = options_of(frame);
    std::optional<BatchPart> about;
    if (has_gathered) {
        about = combined_statistics_of(buffer_at(own, 1));
    }
    const BatchPart* const about_or_null = about ? &*about : nullptr;
    runtime::check_statistics_inputs(array, options, about_or_null);
    const auto positions = part.positions(array, options.channel_axis);
    options.positions = positions ? &*positions : nullptr;
    return runtime::batch_norm_statistics(array, options, about_or_null);
}

BatchPart reduced_sums(const ffi::CallFrame& frame) {
    const auto ports = runtime::backprop_sums_inputs();
    const Arguments arguments(frame, ports.size());
    OperandList<5> own("arguments", ports, arguments.own, arguments.own_present);
    PartOperands part(arguments);
    own.set(0);
    own.select({});
    part.set(0);
    part.select({});
    runtime::PartOptions options = options_of(frame);
    runtime::check_backprop_sums_inputs(own.arrays(), options);
    const auto positions = part.positions(*own.arrays().front(), options.channel_axis);
    options.positions = positions ? &*positions : nullptr;
    return runtime::batch_norm_backprop_sums(own.arrays(), options);
}

void combine_statistics(const ffi::CallFrame& frame) {
    const auto [mean, variance] =
        combined_statistics_of(buffer_at(buffers("arguments", frame.arguments, 1), 0)).statistics();
    const auto results = buffers("results", frame.results, 2);
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
    Target{"BatchStatistics", handler<put_nodes<reduced_statistics>>},
    Target{"BackpropSums", handler<put_nodes<reduced_sums>>},
    Target{"CombinedStatistics", handler<combine_statistics>},
    Target{"CombinedSums", handler<combine_sums>},
};

}  // namespace

std::span<const Target> shard_targets() {
    return targets;
}

}  // namespace normgraph::binding::jax
