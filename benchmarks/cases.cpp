#include "cases.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <stdexcept>
#include <string>

#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/primitive_contract.hpp"
#include "normgraph/kernel/relu_mask.hpp"
#include "shared_streaming_pass.hpp"
#include "streaming_pass.hpp"

namespace normgraph::measurement {
namespace {

using kernel::ElementType;
using kernel::LayoutClass;
using kernel::Statistics;

constexpr int fewest_samples = 5;
constexpr double epsilon = 1e-5;

/// About the share that ReLU lets pass.
constexpr std::byte half_of_the_bits{0b0110'1001};

ElementType channel_type_of(ElementType type) {
    return type == ElementType::f64 ? ElementType::f64 : ElementType::f32;
}

/// Standard normal values. Their number is odd, so that repeating them lines up with no axis.
std::vector<std::byte> random_pattern(ElementType type) {
    constexpr std::size_t count = (std::size_t{1} << 16) + 1;
    std::mt19937_64 generator(20240101);
    std::normal_distribution<double> normal;
    std::vector<std::byte> pattern(count * kernel::size_of(type));
    for (std::size_t index = 0; index < count; ++index) {
        kernel::store_from_double(type, pattern.data() + index * kernel::size_of(type),
                                  normal(generator));
    }
    return pattern;
}

/// Strides in bytes of the dense tensor in that layout, for the logical order (N, C, spatial…).
std::vector<std::int64_t> dense_strides(const std::vector<std::int64_t>& shape, LayoutClass layout,
                                        ElementType type) {
    std::vector<std::size_t> innermost_first;
    for (std::size_t axis = shape.size(); axis-- > 0;) {
        innermost_first.push_back(axis);
    }
    if (layout == LayoutClass::channels_last) {
        std::stable_partition(innermost_first.begin(), innermost_first.end(),
                              [](std::size_t axis) { return axis == 1; });
    }
    std::vector<std::int64_t> strides(shape.size());
    auto stride = static_cast<std::int64_t>(kernel::size_of(type));
    for (const std::size_t axis : innermost_first) {
        strides[axis] = stride;
        stride *= shape[axis];
    }
    return strides;
}

/// A channel vector that owns its elements.
class ChannelValues {
public:
    ChannelValues(std::int64_t channels, ElementType type, double value)
        : size_(kernel::size_of(type)), bytes_(static_cast<std::size_t>(channels) * size_) {
        for (std::size_t at = 0; at < bytes_.size(); at += size_) {
            kernel::store_from_double(type, bytes_.data() + at, value);
        }
    }
    // NOLINTBEGIN(google-explicit-constructor): it stands in lists of arguments, for its elements
    operator kernel::ConstChannelVector() const { return {bytes_.data(), stride()}; }
    operator kernel::ChannelVector() { return {bytes_.data(), stride()}; }
    // NOLINTEND(google-explicit-constructor)

private:
    std::int64_t stride() const { return static_cast<std::int64_t>(size_); }
    std::size_t size_;
    std::vector<std::byte> bytes_;
};

/// Calls one op of one implementation. Tensors of a set: the tensor inputs, then the tensor output.
class Call {
public:
    explicit Call(const Case& which)
        : shape_(which.shape.shape),
          strides_(dense_strides(shape_, which.layout, which.type)),
          problem_{shape_, 1, which.type, channel_type_of(which.type), channel_type_of(which.type),
                   epsilon},
          implementation_(*which.implementation),
          num_threads_(which.num_threads),
          gamma_(vector_of(1.1)),
          beta_(vector_of(0.2)),
          mean_(vector_of(0.1)),
          variance_(vector_of(0.9)),
          first_result_(vector_of(0.0)),
          second_result_(vector_of(0.0)),
          mask_(static_cast<std::size_t>(kernel::ReluMaskLayout(problem_).byte_count()),
                half_of_the_bits) {}
    Call(const Call&) = delete;  // problem_ refers to shape_
    Call& operator=(const Call&) = delete;

    void training(const TensorSet& set) {
        implementation_.run(
            kernel::BatchNormTrainingArguments{problem_, source(set, 0), gamma_, beta_,
                                               result(set, 1), first_result_, second_result_},
            num_threads_);
    }
    void training_relu(const TensorSet& set) {
        implementation_.run(
            kernel::BatchNormTrainingArguments{problem_, source(set, 0), gamma_, beta_,
                                               result(set, 1), first_result_, second_result_, true,
                                               kernel::ReluMask{mask_.data()}},
            num_threads_);
    }
    void training_add_relu(const TensorSet& set) {
        kernel::BatchNormTrainingArguments arguments{
            problem_,       source(set, 0), gamma_,
            beta_,          result(set, 2), first_result_,
            second_result_, true,           kernel::ReluMask{mask_.data()}};
        arguments.residual = source(set, 1);
        implementation_.run(arguments, num_threads_);
    }
    void inference(const TensorSet& set) {
        implementation_.run(
            kernel::BatchNormInferenceArguments{problem_, source(set, 0), gamma_, beta_, mean_,
                                                variance_, result(set, 1)},
            num_threads_);
    }
    void inference_relu(const TensorSet& set) { inference_with_relu(set, 1, {}); }
    void inference_add_relu(const TensorSet& set) { inference_with_relu(set, 2, source(set, 1)); }
    void training_backprop(const TensorSet& set) { backprop(set, Statistics::of_batch); }
    void inference_backprop(const TensorSet& set) { backprop(set, Statistics::given); }
    void training_relu_backprop(const TensorSet& set) {
        backprop(set, Statistics::of_batch, kernel::ConstReluMask{mask_.data()});
    }

    void training_add_relu_backprop(const TensorSet& set) {
        implementation_.run(
            kernel::ReluMaskSelectArguments{problem_.shape, problem_.channel_axis,
                                            problem_.data_type, source(set, 1),
                                            kernel::ConstReluMask{mask_.data()}, result(set, 3)},
            num_threads_);
        training_relu_backprop(set);
    }

private:
    ChannelValues vector_of(double value) const { return {shape_[1], problem_.affine_type, value}; }
    kernel::ConstTensor source(const TensorSet& set, std::size_t index) const {
        return {set.tensor(index), strides_};
    }
    kernel::Tensor result(const TensorSet& set, std::size_t index) const {
        return {set.tensor(index), strides_};
    }

    void inference_with_relu(const TensorSet& set, std::size_t target,
                             const kernel::ConstTensor& residual) {
        implementation_.run(kernel::BatchNormInferenceArguments{.problem = problem_,
                                                                .input = source(set, 0),
                                                                .gamma = gamma_,
                                                                .beta = beta_,
                                                                .mean = mean_,
                                                                .variance = variance_,
                                                                .normalized = result(set, target),
                                                                .applies_relu = true,
                                                                .residual = residual},
                            num_threads_);
    }

    void backprop(const TensorSet& set, Statistics statistics,
                  const kernel::ConstReluMask& mask = {}) {
        implementation_.run(
            kernel::BatchNormBackpropArguments{problem_, statistics, source(set, 0), gamma_, mean_,
                                               variance_, source(set, 1), result(set, 2),
                                               first_result_, second_result_, mask},
            num_threads_);
    }

    std::vector<std::int64_t> shape_;
    std::vector<std::int64_t> strides_;
    kernel::Problem problem_;
    const kernel::Implementation& implementation_;
    std::int64_t num_threads_;
    ChannelValues gamma_, beta_, mean_, variance_, first_result_, second_result_;
    std::vector<std::byte> mask_;
};

/// One line for each op: its call, and how many tensors it must move once.
struct BenchmarkedOp {
    std::string_view name;
    std::size_t tensor_count;
    void (Call::*call)(const TensorSet&);
};

constexpr std::array benchmarked_ops{
    BenchmarkedOp{"batch_norm_training", 2, &Call::training},
    BenchmarkedOp{"batch_norm_inference", 2, &Call::inference},
    BenchmarkedOp{"batch_norm_training_backprop", 3, &Call::training_backprop},
    BenchmarkedOp{"batch_norm_inference_backprop", 3, &Call::inference_backprop},
    BenchmarkedOp{"batch_norm_training_relu", 2, &Call::training_relu},
    BenchmarkedOp{"batch_norm_training_relu_backprop", 3, &Call::training_relu_backprop},
    BenchmarkedOp{"batch_norm_training_add_relu", 3, &Call::training_add_relu},
    BenchmarkedOp{"batch_norm_training_add_relu_backprop", 4, &Call::training_add_relu_backprop},
    BenchmarkedOp{"batch_norm_inference_relu", 2, &Call::inference_relu},
    BenchmarkedOp{"batch_norm_inference_add_relu", 3, &Call::inference_add_relu},
};

const BenchmarkedOp& benchmarked(Op op) {
    return benchmarked_ops[static_cast<std::size_t>(op)];
}

Work streaming_work(std::size_t tensor_count, StreamingPass::Function pass,
                    std::int64_t num_threads) {
    return [tensor_count, pass, num_threads](const TensorSet& set) {
        stream(pass, set, tensor_count, num_threads);
    };
}

}  // namespace

std::vector<Op> all_ops() {
    std::vector<Op> ops;
    for (std::size_t index = 0; index < benchmarked_ops.size(); ++index) {
        ops.push_back(Op{index});
    }
    return ops;
}

std::string_view name_of(Op op) {
    return benchmarked(op).name;
}

std::size_t tensor_count_of(Op op) {
    return benchmarked(op).tensor_count;
}

std::string_view name_of(ElementType type) {
    switch (type) {
        case ElementType::f16:
            return "f16";
        case ElementType::bf16:
            return "bf16";
        case ElementType::f32:
            return "f32";
        case ElementType::f64:
            break;
    }
    return "f64";
}

ElementType element_type_named(std::string_view name) {
    for (const ElementType type :
         {ElementType::f16, ElementType::bf16, ElementType::f32, ElementType::f64}) {
        if (name == name_of(type)) {
            return type;
        }
    }
    throw std::invalid_argument("expected f16, bf16, f32 or f64, got '" + std::string(name) + "'");
}

std::string_view name_of(LayoutClass layout) {
    return layout == LayoutClass::channels_first ? "channels_first" : "channels_last";
}

std::vector<LayoutClass> layouts_of(const NamedShape& shape) {
    if (std::all_of(shape.shape.begin() + 2, shape.shape.end(),
                    [](std::int64_t length) { return length == 1; })) {
        return {LayoutClass::channels_last};
    }
    return {LayoutClass::channels_first, LayoutClass::channels_last};
}

std::string Case::name() const {
    std::string text;
    for (const std::string_view part : {name_of(op), std::string_view(shape.name), name_of(type),
                                        name_of(layout), implementation->name}) {
        text.append(part).append("/");
    }
    return text + std::to_string(num_threads);
}

Measurement measure(const Case& which, double seconds) {
    const std::size_t tensor_count = tensor_count_of(which.op);
    const std::size_t bytes =
        static_cast<std::size_t>(element_count(which.shape)) * kernel::size_of(which.type);
    const std::vector<TensorSet> sets =
        make_tensor_sets(which.shape.cold, tensor_count, bytes, random_pattern(which.type));
    const StreamingPass& pass = widest_streaming_pass();
    Call call(which);
    const std::vector<Timing> timings =
        sample({[&](const TensorSet& set) { (call.*benchmarked(which.op).call)(set); },
                streaming_work(tensor_count, pass.normal_stores, which.num_threads),
                streaming_work(tensor_count, pass.non_temporal_stores, which.num_threads)},
               sets, {which.shape.cold, seconds, fewest_samples});
    const Timing floor = std::min(timings[1], timings[2], [](const Timing& a, const Timing& b) {
        return a.median_seconds < b.median_seconds;
    });
    return {timings[0], floor, static_cast<double>(tensor_count * bytes)};
}

}  // namespace normgraph::measurement
