#include "binding/torch/operators.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "binding/torch/stable_functions.hpp"
#include "binding/torch/tensor.hpp"
#include "normgraph/indices/axis.hpp"
#include "normgraph/indices/counts.hpp"
#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/kernel/threads/executor.hpp"
#include "normgraph/op/batch_norm_node.hpp"
#include "normgraph/runtime/memory_pool.hpp"
#include "normgraph/runtime/running_statistics.hpp"

namespace normgraph::binding::torch {
namespace {

using runtime::KernelCall;
using runtime::OptionalArray;

using runtime::most_inputs;
using runtime::most_outputs;

/// The value of an argument that may be left out. It is libtorch that allocates it, with `new`.
std::optional<StableValue> take_optional(StableValue& argument) {
    const std::unique_ptr<StableValue> value(
        std::bit_cast<StableValue*>(std::exchange(argument, 0)));
    return value ? std::optional(*value) : std::nullopt;
}

/// The arguments of a call, of which each is taken once, in order.
class Arguments {
public:
    explicit Arguments(StableValue* stack) : next_(stack) {}

    Tensor tensor() { return Tensor(std::bit_cast<TensorObject*>(*next_++)); }
    Tensor optional_tensor() {
        const std::optional<StableValue> value = take_optional(*next_++);
        return value ? Tensor(std::bit_cast<TensorObject*>(*value)) : Tensor();
    }
    double number() { return std::bit_cast<double>(*next_++); }
    std::optional<double> optional_number() {
        const std::optional<StableValue> value = take_optional(*next_++);
        return value ? std::optional(std::bit_cast<double>(*value)) : std::nullopt;
    }
    std::int64_t integer() { return static_cast<std::int64_t>(*next_++); }
    bool flag() { return (*next_++ & 0xFFU) != 0; }

private:
    StableValue* next_;
};

/// The tensors of a call, which live as long as their views.
template <std::size_t most>
class Tensors {
public:
    void set(std::size_t index, std::string_view name, Tensor tensor) {
        tensors_[index] = std::move(tensor);
        if (tensors_[index].is_defined()) {
            views_[index].set(name, tensors_[index]);
            arrays_[index] = views_[index].array();
        }
    }
    void move_to_end(std::size_t index, std::size_t axis) { views_[index].move_to_end(axis); }
    void set_shape(std::size_t index, std::span<const std::int64_t> shape) {
        views_[index].set_shape(shape);
        arrays_[index] = views_[index].array();
    }
    const Tensor& tensor(std::size_t index) const { return tensors_[index]; }
    Tensor take(std::size_t index) { return std::move(tensors_[index]); }
    std::span<const OptionalArray> arrays(std::size_t count) const {
        return {arrays_.data(), count};
    }

private:
    std::array<Tensor, most> tensors_;
    std::array<TensorView, most> views_;
    std::array<OptionalArray, most> arrays_;
};

/// Runs `function` with the kernels' work on torch's own threads, as many as torch uses.
template <typename Function>
void on_threads_of_torch(const Function& function) {
    using kernel::ScopedExecutor;
    const StableFunctions& torch = stable_functions();
    std::uint32_t num_threads = 1;
    check_status(torch.get_num_threads(&num_threads), "torch_get_num_threads");
    if (num_threads == 1) {
        function(std::int64_t{1});
        return;
    }
    const auto run = [&](std::int64_t count, ScopedExecutor::Task task) {
        const auto run_range = [](std::int64_t begin, std::int64_t end, void* context) {
            const ScopedExecutor::Task& tasks = *static_cast<ScopedExecutor::Task*>(context);
            for (std::int64_t index = begin; index < end; ++index) {
                tasks(index);
            }
        };
        check_status(torch.parallel_for(0, count, 1, run_range, &task), "torch_parallel_for");
    };
    const ScopedExecutor executor(run);
    function(static_cast<std::int64_t>(num_threads));
}

/// What an operator is called with.
struct Call {
    Tensors<most_inputs> inputs;
    op::BatchNormAttributes attributes{op::default_epsilon, op::default_channel_axis};
    std::int64_t wanted = 1;                ///< a bit for each output
    std::optional<std::size_t> moved_axis;  ///< of the data: to the end
    std::int64_t mask_size = 0;             ///< in bytes, as torch has it; where the op has a mask
};

/// The channel axis, counted from the front, if the channels lie innermost in memory though it is
/// not the last axis, as in torch's memory format channels_last.
std::optional<std::size_t> innermost_channel_axis(const runtime::Array& input,
                                                  std::int64_t channel_axis) {
    const auto rank = static_cast<std::int64_t>(input.shape.size());
    const std::int64_t axis = axis_from_front(channel_axis, rank);
    if (axis < 0 || axis >= rank - 1) {
        return std::nullopt;
    }
    const auto channel = static_cast<std::size_t>(axis);
    const std::int64_t stride = input.strides[channel];
    if (input.shape[channel] < 2 || stride == 0) {
        return std::nullopt;
    }
    for (std::size_t other = 0; other < input.shape.size(); ++other) {
        const bool has_a_place = input.shape[other] != 1 && input.strides[other] != 0;
        if (other != channel && has_a_place && input.strides[other] <= stride) {
            return std::nullopt;
        }
    }
    return channel;
}

/// How the bits of a mask lie in the one axis of bytes that torch has of it. There are as many
/// bytes as either packing needs, and one more at the end that says which it is: so the shape
/// follows from the data's shape alone, and the data may come back in another order of their
/// memory, as they do where torch.compile chooses it.
class MaskLayout {
public:
    /// channel_axis is counted from the front, and lies within the rank.
    MaskLayout(std::span<const std::int64_t> data, std::int64_t channel_axis)
        : extents_(kernel::extents_of(data, channel_axis)),
          is_last_(channel_axis + 1 == static_cast<std::int64_t>(data.size())) {}

    /// In bytes.
    std::int64_t size() const {
        const std::int64_t by_positions = kernel::product(shape(true));
        return (is_last_ ? by_positions : std::max(by_positions, kernel::product(shape(false)))) +
               1;
    }
    /// The axes of the bytes, see op::relu_mask_shape.
    std::vector<std::int64_t> shape(bool has_innermost_channels) const {
        if (has_innermost_channels) {
            return {extents_.elements_per_channel(), bytes_for(extents_.channels)};
        }
        return {extents_.outer, extents_.channels, bytes_for(extents_.inner)};
    }
    static constexpr std::size_t rank_of_innermost_channels = 2;

    /// Whether the channels lie innermost, by the last byte of this mask; nullopt for one that no
    /// forward pass has returned for such data.
    std::optional<bool> has_innermost_channels(const runtime::Array& mask) const {
        const std::int64_t length = size();
        if (mask.element_type != element::u8 || mask.shape.size() != 1 || mask.shape[0] != length ||
            (mask.strides[0] != 1 && length != 1)) {
            return std::nullopt;
        }
        const auto packing = std::to_integer<int>(mask.address[length - 1]);
        if (packing > 1 || (packing == 0 && is_last_)) {
            return std::nullopt;
        }
        return packing == 1;
    }

private:
    kernel::Extents extents_;
    bool is_last_;
};

/// That of the call's data; nullopt where they have no such channel axis, which the op's validation
/// refuses.
std::optional<MaskLayout> mask_layout_of(const Call& taken) {
    const runtime::Array& data = *taken.inputs.arrays(1)[0];
    const auto rank = static_cast<std::int64_t>(data.shape.size());
    const std::int64_t channel_axis = taken.attributes.channel_axis;
    if (rank < 2 || channel_axis < -rank || channel_axis >= rank) {
        return std::nullopt;
    }
    return MaskLayout(data.shape, axis_from_front(channel_axis, rank));
}

/// Gives the given mask its axes. Returns whether its bits lie with the channels innermost.
bool unpack_mask(std::size_t index, const MaskLayout& layout, Call& taken) {
    const runtime::Array& mask = *taken.inputs.arrays(index + 1)[index];
    const std::optional<bool> has_innermost_channels = layout.has_innermost_channels(mask);
    if (!has_innermost_channels) {
        throw std::invalid_argument(
            "mask: expected the one that the forward pass returned for an input of this shape, " +
            std::to_string(layout.size()) + " bytes, got " + mask.tensor_type().to_string());
    }
    taken.inputs.set_shape(index, layout.shape(*has_innermost_channels));
    return *has_innermost_channels;
}

/// The channel axis, if it is to be the last one. A mask that is given decides, by its packing.
std::optional<std::size_t> axis_to_move(const KernelCall& call, Call& taken) {
    const runtime::Array& input = *taken.inputs.arrays(1)[0];
    const std::int64_t channel_axis = taken.attributes.channel_axis;
    const std::size_t mask = op::index_of(call.inputs, op::Role::mask);
    const bool is_mask_given = mask < call.inputs.size();
    if (!is_mask_given && !op::has(call.outputs, op::Role::mask)) {
        return innermost_channel_axis(input, channel_axis);
    }
    const std::optional<MaskLayout> layout = mask_layout_of(taken);
    if (!layout) {
        return std::nullopt;
    }
    taken.mask_size = layout->size();
    if (!is_mask_given) {
        return innermost_channel_axis(input, channel_axis);
    }
    const auto rank = static_cast<std::int64_t>(input.shape.size());
    const std::int64_t axis = axis_from_front(channel_axis, rank);
    const bool is_moved = unpack_mask(mask, *layout, taken) && axis + 1 < rank;
    return is_moved ? std::optional(static_cast<std::size_t>(axis)) : std::nullopt;
}

/// torch's channels_last is an order of the memory; here the axis is moved, since masks are packed
/// in the order of the axes, and cost less where that is the memory's.
void move_innermost_channels(const KernelCall& call, Call& taken) {
    taken.moved_axis = axis_to_move(call, taken);
    if (!taken.moved_axis) {
        return;
    }
    taken.attributes.channel_axis = -1;
    for (std::size_t index = 0; index < call.inputs.size(); ++index) {
        const OptionalArray& input = taken.inputs.arrays(index + 1)[index];
        if (op::is_data(call.inputs[index].role) && input->shape.size() > *taken.moved_axis) {
            taken.inputs.move_to_end(index, *taken.moved_axis);
        }
    }
}

void set_inputs(const KernelCall& call, std::span<Tensor> tensors, Call& taken) {
    for (std::size_t index = 0; index < tensors.size(); ++index) {
        taken.inputs.set(index, call.inputs[index].name, std::move(tensors[index]));
    }
    move_innermost_channels(call, taken);
}

/// All tensors are taken from the stack before the first of them is looked at, which may throw.
void take_arguments(const KernelCall& call, StableValue* stack, Call& taken) {
    Arguments arguments(stack);
    std::array<Tensor, most_inputs> tensors;
    for (std::size_t index = 0; index < call.inputs.size(); ++index) {
        tensors[index] =
            op::is_optional(call.inputs[index]) ? arguments.optional_tensor() : arguments.tensor();
    }
    taken.attributes.epsilon = arguments.number();
    taken.attributes.channel_axis = arguments.integer();
    if (call.applies_relu) {
        taken.attributes.upper_bound = arguments.optional_number();
    }
    if (call.has_several_outputs()) {
        taken.wanted = arguments.integer();
    }
    set_inputs(call, std::span(tensors).first(call.inputs.size()), taken);
}

/// A mask as torch has it: see MaskLayout. Bytes that its packing does not need are 0.
void make_mask(const Call& taken, const op::Port& port, const TensorType& type, std::size_t index,
               Tensors<most_outputs>& outputs) {
    const auto size = static_cast<std::size_t>(taken.mask_size);
    outputs.set(index, port.name, new_tensor({element::u8, PartialShape{taken.mask_size}}));
    const std::vector<Dimension>& axes = type.partial_shape.dimensions();
    std::vector<std::int64_t> shape(axes.size());
    std::ranges::transform(axes, shape.begin(), &Dimension::length);
    outputs.set_shape(index, shape);
    const auto bytes = std::span(outputs.arrays(index + 1)[index]->address, size);
    const auto packed = static_cast<std::size_t>(kernel::product(shape));
    std::ranges::fill(bytes.subspan(packed), std::byte{0});
    bytes.back() = std::byte{shape.size() == MaskLayout::rank_of_innermost_channels};
}

void make_output(const Call& taken, const op::Port& port, const TensorType& type, std::size_t index,
                 Tensors<most_outputs>& outputs) {
    if (port.role == op::Role::mask) {
        make_mask(taken, port, type, index, outputs);
        return;
    }
    if (!op::is_data(port.role)) {
        outputs.set(index, port.name, new_tensor(type));
        return;
    }
    outputs.set(index, port.name, new_tensor_like(taken.inputs.tensor(0), type.element_type));
    if (taken.moved_axis) {
        outputs.move_to_end(index, *taken.moved_axis);
    }
}

/// The call of a function on arrays, from its validation to its outputs; those that are not wanted
/// are not defined. Statistics of a batch are of f64: a backward pass has them unrounded.
class Computation {
public:
    Computation(const KernelCall& call, Call& taken) : call_(call), taken_(taken) {
        if (call.has_statistics()) {
            taken.attributes.statistics_type = element::f64;
        }
        types_ = runtime::validate(call, inputs(), taken.attributes);
        for (std::size_t index = 0; index < types_->size(); ++index) {
            if ((taken.wanted >> index & 1) != 0) {
                make_output(taken, call.outputs[index], (*types_)[index], index, outputs_);
            }
        }
    }
    void run() {
        on_threads_of_torch([&](std::int64_t num_threads) {
            call_.run(inputs(), outputs_.arrays(types_->size()), taken_.attributes, {}, num_threads,
                      kernel::chosen_implementation());
        });
    }
    const runtime::Array& output(std::size_t index) const {
        return *outputs_.arrays(types_->size())[index];
    }
    /// The results of an operator.
    void put(StableValue* stack) {
        for (std::size_t index = 0; index < types_->size(); ++index) {
            Tensor result = outputs_.take(index);
            if (!result.is_defined()) {
                result = new_empty_tensor((*types_)[index].element_type);
            }
            stack[index] = result.release();
        }
    }

private:
    std::span<const OptionalArray> inputs() const {
        return taken_.inputs.arrays(call_.inputs.size());
    }

    const KernelCall& call_;
    Call& taken_;
    std::shared_ptr<const std::vector<TensorType>> types_;
    Tensors<most_outputs> outputs_;
};

void run(const KernelCall& call, StableValue* stack) {
    runtime::release_expired_memory();
    Call taken;
    take_arguments(call, stack, taken);
    Computation computation(call, taken);
    computation.run();
    computation.put(stack);
}

/// libtorch calls an operator without anything that says which one it is: there is a function for
/// each.
template <std::size_t index>
void run_call(StableValue* stack, std::uint64_t /*inputs*/, std::uint64_t /*outputs*/) {
    run(runtime::kernel_calls()[index], stack);
}

/// Moves the running statistics towards those of a batch.
void update_running_statistics(const Tensor& running_mean, const Tensor& running_variance,
                               const runtime::ChannelStatistics& batch, double momentum,
                               std::int64_t count) {
    std::array<TensorView, 2> views;
    views[0].set("running_mean", running_mean);
    views[1].set("running_variance", running_variance);
    const runtime::ChannelStatistics running{views[0].array(), views[1].array()};
    const runtime::RunningUpdate update{count, momentum, true};
    runtime::check_running_statistics(running, batch, update);
    runtime::update_running_statistics(running, batch, update, running);
}

void run_update_running_statistics(StableValue* stack, std::uint64_t /*inputs*/,
                                   std::uint64_t /*outputs*/) {
    Arguments arguments(stack);
    std::array<Tensor, 4> tensors;
    for (Tensor& tensor : tensors) {
        tensor = arguments.tensor();
    }
    const double momentum = arguments.number();
    const std::int64_t count = arguments.integer();
    std::array<TensorView, 2> batch;
    batch[0].set("mean", tensors[2]);
    batch[1].set("variance", tensors[3]);
    update_running_statistics(tensors[0], tensors[1], {batch[0].array(), batch[1].array()},
                              momentum, count);
}

const KernelCall& call_named(std::string_view name) {
    return *std::ranges::find(runtime::kernel_calls(), name, &KernelCall::name);
}

std::int64_t elements_per_channel(const Call& taken) {
    const runtime::Array& input = *taken.inputs.arrays(1)[0];
    const auto rank = static_cast<std::int64_t>(input.shape.size());
    return kernel::extents_of(input.shape, axis_from_front(taken.attributes.channel_axis, rank))
        .elements_per_channel();
}

/// In place: what torch's own derivatives of a backward pass expect of saved statistics.
void inverse_deviations(const runtime::Array& variance, double epsilon) {
    auto* const values = reinterpret_cast<double*>(variance.address);
    for (std::int64_t channel = 0; channel < variance.shape[0]; ++channel) {
        values[channel] = 1.0 / std::sqrt(values[channel] + epsilon);
    }
}

// torch has nodes of its autograd, written in C++, for aten::miopen_batch_norm and its gradients,
// and no kernels for the processor. With these two a layer takes as long as torch's own; a Function
// of Python would take longer than a small layer. The stable interface has no such nodes.

/// (input, weight, bias?, running_mean?, running_var?, training, momentum, epsilon) -> normalized,
/// mean, inverse deviation (both f64). Only in training.
void run_training(StableValue* stack, std::uint64_t /*inputs*/, std::uint64_t /*outputs*/) {
    static const KernelCall& call = call_named("batch_norm_training");
    runtime::release_expired_memory();
    Arguments arguments(stack);
    std::array<Tensor, 3> data{arguments.tensor(), arguments.tensor(), arguments.optional_tensor()};
    const Tensor running_mean = arguments.optional_tensor();
    const Tensor running_variance = arguments.optional_tensor();
    const bool is_training = arguments.flag();
    const double momentum = arguments.number();
    Call taken;
    taken.attributes.epsilon = arguments.number();
    taken.wanted = 0b111;
    if (!is_training) {
        throw std::invalid_argument("training: expected True on the CPU, got False");
    }
    set_inputs(call, data, taken);
    Computation computation(call, taken);
    computation.run();
    if (running_mean.is_defined() && running_variance.is_defined()) {
        update_running_statistics(running_mean, running_variance,
                                  {computation.output(1), computation.output(2)}, momentum,
                                  elements_per_channel(taken));
    }
    inverse_deviations(computation.output(2), taken.attributes.epsilon);
    computation.put(stack);
}

/// A vector of the variances, epsilon among them, of given inverse deviations.
Tensor variances(const Tensor& inverse_deviation) {
    TensorView given;
    given.set("save_var", inverse_deviation);
    if (given.array().element_type != element::f64 || given.array().shape.size() != 1) {
        throw std::invalid_argument("save_var: expected what miopen_batch_norm returned, got " +
                                    given.array().tensor_type().to_string());
    }
    Tensor variance = new_tensor(given.array().tensor_type());
    TensorView made;
    made.set("variance", variance);
    auto* const values = reinterpret_cast<double*>(made.array().address);
    const std::byte* next = given.array().address;
    for (std::int64_t channel = 0; channel < given.array().shape[0]; ++channel) {
        double value = 0.0;
        std::memcpy(&value, next, sizeof value);
        values[channel] = 1.0 / (value * value);
        next += given.array().strides[0];
    }
    return variance;
}

/// (input, grad_output, weight, running_mean?, running_var?, save_mean?, save_var?, epsilon) ->
/// gradients of input, weight and bias. save_var is the inverse deviation, which epsilon is in.
///
/// Where a graph of it is wanted, an operator that has derivatives does it: those of torch take the
/// statistics for constants, and so are wrong from the third order on. Nothing of autograd stands
/// before this kernel (operators.py makes it fall through), so that what that operator does is
/// recorded.
void run_training_backprop(StableValue* stack, std::uint64_t /*inputs*/,
                           std::uint64_t /*outputs*/) {
    if (stable_functions().grad_mode_is_enabled()) {
        const char* const op = "normgraph::differentiable_training_backprop";
        check_status(stable_functions().call_dispatcher(op, "", stack, interface_version), op);
        return;
    }
    static const KernelCall& call = call_named("batch_norm_training_backprop");
    runtime::release_expired_memory();
    Arguments arguments(stack);
    std::array<Tensor, 6> data;
    data[0] = arguments.tensor();
    data[5] = arguments.tensor();
    data[1] = arguments.tensor();
    const std::array<Tensor, 2> running{arguments.optional_tensor(), arguments.optional_tensor()};
    data[3] = arguments.optional_tensor();
    const Tensor inverse_deviation = arguments.optional_tensor();
    if (!data[3].is_defined() || !inverse_deviation.is_defined()) {
        throw std::invalid_argument("save_mean, save_var: expected tensors, got None");
    }
    data[4] = variances(inverse_deviation);
    Call taken;
    taken.attributes.epsilon = 0.0;
    taken.wanted = 0b111;
    set_inputs(call, data, taken);
    Computation computation(call, taken);
    computation.run();
    computation.put(stack);
}

constexpr std::size_t most_calls = 32;

template <std::size_t... index>
constexpr std::array<BoxedFunction, sizeof...(index)> boxed_functions(
    std::index_sequence<index...>) {
    return {run_call<index>...};
}

constexpr std::array boxed = boxed_functions(std::make_index_sequence<most_calls>());

}  // namespace

std::string schema_of(const KernelCall& call) {
    std::string schema = std::string(call.name) + "(";
    for (const op::Port& port : call.inputs) {
        schema.append(op::is_optional(port) ? "Tensor? " : "Tensor ")
            .append(port.name)
            .append(", ");
    }
    schema += "float epsilon, int channel_axis";
    if (call.applies_relu) {
        schema += ", float? upper_bound";
    }
    if (call.has_several_outputs()) {
        schema += ", int outputs";
    }
    schema += ") -> (";
    for (const op::Port& port : call.outputs) {
        schema.append(&port == call.outputs.data() ? "Tensor " : ", Tensor ").append(port.name);
    }
    return schema + ")";
}

std::string running_statistics_schema() {
    return "update_running_statistics(Tensor(a!) running_mean, Tensor(b!) running_variance, "
           "Tensor mean, Tensor variance, float momentum, int count) -> ()";
}

namespace {

/// A library of kernels. It is never deleted, which would unregister them.
class KernelLibrary {
public:
    KernelLibrary(const char* name_space, const char* dispatch_key) {
        check_status(stable_functions().library_init_impl(name_space, dispatch_key, __FILE__,
                                                          __LINE__, &library_),
                     "aoti_torch_library_init_impl");
    }
    void add(const std::string& name, BoxedFunction function) const {
        check_status(
            stable_functions().library_impl(library_, name.c_str(), function, interface_version),
            "torch_library_impl");
    }

private:
    LibraryObject* library_ = nullptr;
};

}  // namespace

void register_kernels(const std::string& path) {
    find_stable_functions(path);
    const std::span<const KernelCall> calls = runtime::kernel_calls();
    if (calls.size() > boxed.size()) {
        throw std::length_error("the family has more ops than most_calls");
    }
    const KernelLibrary own("normgraph", "CPU");
    for (std::size_t index = 0; index < calls.size(); ++index) {
        if (!calls[index].name.empty()) {
            own.add(std::string(calls[index].name), boxed[index]);
        }
    }
    own.add("update_running_statistics", run_update_running_statistics);
    const KernelLibrary of_torch("aten", "CPU");
    of_torch.add("miopen_batch_norm", run_training);
    of_torch.add("miopen_batch_norm_backward", run_training_backprop);
}

}  // namespace normgraph::binding::torch
