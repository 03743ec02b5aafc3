#include "binding/jax/handlers.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "binding/jax/call_frame.hpp"
#include "binding/jax/operand_list.hpp"
#include "binding/jax/part_operands.hpp"
#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/op/batch_norm_family.hpp"
#include "normgraph/op/batch_norm_node.hpp"
#include "normgraph/runtime/kernel_call.hpp"

namespace normgraph::binding::jax {
namespace {

using runtime::KernelCall;
using runtime::OptionalArray;

/// Counts through the problems of a batch, the last axis fastest. False behind the last one.
bool advance(std::span<std::int64_t> problem, std::span<const std::int64_t> shape) {
    for (std::size_t axis = shape.size(); axis-- > 0;) {
        if (++problem[axis] < shape[axis]) {
            return true;
        }
        problem[axis] = 0;
    }
    return false;
}

op::BatchNormAttributes attributes_of(const ffi::Attributes& attributes) {
    op::BatchNormAttributes result{number(attributes, "epsilon"),
                                   integer(attributes, "channel_axis")};
    result.upper_bound = optional_number(attributes, "upper_bound");
    if (const std::int64_t count = integer(attributes, "count"); count > 0) {
        result.count = count;
    }
    return result;
}

/// A kernel call on a batch of problems: each has the bits that it has alone.
class Call {
public:
    Call(const KernelCall& call, const ffi::CallFrame& frame)
        : Call(call, frame, Arguments(frame, call.inputs.size())) {}

    void run() {
        const std::span<const std::int64_t> batch = outputs_.first_operand().batch_shape();
        std::array<std::int64_t, 64> indices{};
        const std::span problem(indices.data(), batch.size());
        inputs_.expect_batch(batch);
        part_.expect_batch(batch);
        outputs_.expect_batch(batch);
        if (std::ranges::count(batch, 0) != 0) {
            return;
        }
        select(problem);
        check();
        const std::int64_t num_threads = kernel::get_num_threads();
        do {
            select(problem);
            run_selected(num_threads);
        } while (advance(problem, batch));
    }

private:
    Call(const KernelCall& call, const ffi::CallFrame& frame, const Arguments& arguments)
        : call_(call),
          inputs_("arguments", call.inputs, arguments.own, arguments.own_present),
          part_(arguments),
          outputs_("results", call.outputs, frame.results,
                   static_cast<std::uint64_t>(integer(frame.attributes, "outputs"))),
          attributes_(attributes_of(frame.attributes)) {
        inputs_.expect_all_but_optional();
        const std::int64_t batch_rank = inputs_.first().rank - integer(frame.attributes, "rank");
        if (batch_rank < 0) {
            throw std::runtime_error("rank: expected at most that of the first argument");
        }
        outputs_.first();
        inputs_.set(static_cast<std::size_t>(batch_rank));
        part_.set(static_cast<std::size_t>(batch_rank));
        outputs_.set(static_cast<std::size_t>(batch_rank));
    }

    void run_selected(std::int64_t num_threads) {
        const auto positions = part_.positions(*inputs_.arrays().front(), attributes_.channel_axis);
        if (call_.needs_elements()) {
            part_.expect_elements(positions);
        }
        if (const auto count = part_.count()) {
            attributes_.count = count;
        }
        call_.run(inputs_.arrays(), outputs_.arrays(), attributes_,
                  {.positions = positions ? &*positions : nullptr}, num_threads,
                  kernel::chosen_implementation());
    }
    void select(std::span<const std::int64_t> problem) {
        inputs_.select(problem);
        part_.select(problem);
        outputs_.select(problem);
    }
    /// All problems have the same types and shapes.
    void check() {
        const std::span<const OptionalArray> outputs = outputs_.arrays();
        for (std::size_t index = 0; index < outputs.size(); ++index) {
            if (outputs[index] && op::is_statistic(call_.outputs[index].role)) {
                attributes_.statistics_type = outputs[index]->element_type;
            }
        }
        const auto types = runtime::validate(call_, inputs_.arrays(), attributes_);
        for (std::size_t index = 0; index < outputs.size(); ++index) {
            if (outputs[index]) {
                check_result(call_.outputs[index], *outputs[index], (*types)[index]);
            }
        }
    }
    static void check_result(const op::Port& port, const runtime::Array& result,
                             const TensorType& type) {
        try {
            runtime::check_output(result, type);
        } catch (const std::invalid_argument& error) {
            throw std::invalid_argument(std::string(port.name) + ": " + error.what());
        }
    }

    const KernelCall& call_;
    OperandList<runtime::most_inputs> inputs_;
    PartOperands part_;
    OperandList<runtime::most_outputs> outputs_;
    op::BatchNormAttributes attributes_;
};

/// XLA calls a handler without anything that says which one it is: there is a function for each.
template <std::size_t index>
ffi::Error* run_call(ffi::CallFrame* frame) {
    return handle(frame, [](const ffi::CallFrame& checked) {
        Call(runtime::kernel_calls()[index], checked).run();
    });
}

template <typename... Ops>
struct Targets {
    static constexpr auto all = []<std::size_t... index>(std::index_sequence<index...>) {
        return std::array{Target{Ops::class_name, run_call<index>}...};
    }(std::index_sequence_for<Ops...>());
};

template <typename Number>
void round_doubles(const std::byte* doubles, std::byte* numbers, std::size_t count) {
    for (std::size_t index = 0; index < count; ++index) {
        double value = 0.0;
        std::memcpy(&value, doubles + index * sizeof value, sizeof value);
        const auto rounded = static_cast<Number>(value);
        std::memcpy(numbers + index * sizeof rounded, &rounded, sizeof rounded);
    }
}

template <typename Number>
void widen_to_doubles(const std::byte* numbers, std::byte* doubles, std::size_t count) {
    for (std::size_t index = 0; index < count; ++index) {
        Number number = 0;
        std::memcpy(&number, numbers + index * sizeof number, sizeof number);
        const double value = number;
        std::memcpy(doubles + index * sizeof value, &value, sizeof value);
    }
}

std::size_t element_count(const ffi::Buffer& buffer) {
    std::size_t count = 1;
    for (std::int64_t axis = 0; axis < buffer.rank; ++axis) {
        count *= static_cast<std::size_t>(buffer.lengths[axis]);
    }
    return count;
}

/// Between the bits of doubles and as many numbers of f32 or f64, `convert(bits, numbers, f32 or
/// f64 zero, count)`.
template <typename Convert>
void convert_doubles(const ffi::Buffer& bits, const ffi::Buffer& numbers, const Convert& convert) {
    const std::size_t count = element_count(numbers);
    if (bits.type != ffi::DataType::u32 || element_count(bits) != 2 * count) {
        throw std::invalid_argument("expected pairs of u32, the bits of as many doubles");
    }
    const kernel::DefaultFloatingPointEnvironment environment;
    auto* const doubles = static_cast<std::byte*>(bits.data);
    auto* const others = static_cast<std::byte*>(numbers.data);
    if (numbers.type == ffi::DataType::f64) {
        convert(doubles, others, double{}, count);
    } else if (numbers.type == ffi::DataType::f32) {
        convert(doubles, others, float{}, count);
    } else {
        throw std::invalid_argument("expected numbers of f32 or f64");
    }
}

ffi::Error* run_rounding(ffi::CallFrame* frame) {
    return handle(frame, [](const ffi::CallFrame& checked) {
        convert_doubles(buffer_at(buffers("arguments", checked.arguments, 1), 0),
                        buffer_at(buffers("results", checked.results, 1), 0),
                        []<typename Number>(const std::byte* bits, std::byte* numbers,
                                            Number /*type*/, std::size_t count) {
                            round_doubles<Number>(bits, numbers, count);
                        });
    });
}

ffi::Error* run_widening(ffi::CallFrame* frame) {
    return handle(frame, [](const ffi::CallFrame& checked) {
        convert_doubles(buffer_at(buffers("results", checked.results, 1), 0),
                        buffer_at(buffers("arguments", checked.arguments, 1), 0),
                        []<typename Number>(std::byte* bits, const std::byte* numbers,
                                            Number /*type*/, std::size_t count) {
                            widen_to_doubles<Number>(numbers, bits, count);
                        });
    });
}

constexpr std::array conversions{Target{"RoundDoubles", run_rounding},
                                 Target{"WidenToDoubles", run_widening}};

}  // namespace

std::span<const Target> kernel_targets() {
    return op::BatchNormFamily<Targets>::all;
}

std::span<const Target> conversion_targets() {
    return conversions;
}

}  // namespace normgraph::binding::jax
