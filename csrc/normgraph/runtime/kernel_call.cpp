#include "normgraph/runtime/kernel_call.hpp"

#include <limits>
#include <stdexcept>
#include <string>

namespace normgraph::runtime {
namespace {

std::vector<TensorType> tensor_types(std::span<const OptionalArray> inputs) {
    std::vector<TensorType> types;
    types.reserve(inputs.size());
    for (const OptionalArray& input : inputs) {
        types.push_back(input ? input->tensor_type()
                              : TensorType{element::dynamic, PartialShape::dynamic(1)});
    }
    return types;
}

/// Views with zero strides have any number of elements in little memory.
bool elements_are_countable(const Array& array) {
    constexpr std::int64_t limit = std::numeric_limits<std::int64_t>::max() / 8;
    std::int64_t count = 1;
    for (const std::int64_t length : array.shape) {
        if (length > 0 && count > limit / length) {
            return false;
        }
        count *= length;
    }
    return true;
}

}  // namespace

std::vector<TensorType> validate(const KernelCall& call, std::span<const OptionalArray> inputs,
                                 double epsilon, std::int64_t channel_axis) {
    std::vector<TensorType> outputs = call.infer(tensor_types(inputs), epsilon, channel_axis);
    const Array& input = *inputs[0];
    const std::string shape = input.tensor_type().partial_shape.to_string();
    if (call.needs_elements && input.is_empty()) {
        throw std::invalid_argument(
            "input: expected at least one element per channel, since an empty batch has no "
            "statistics, got shape " + shape);
    }
    if (!input.is_empty() && !elements_are_countable(input)) {
        throw std::invalid_argument("input: expected fewer than 2^60 elements, got shape " + shape);
    }
    for (TensorType& output : outputs) {
        if (output.element_type.is_dynamic()) {
            output.element_type = element::f32;
        }
    }
    return outputs;
}

}  // namespace normgraph::runtime
