#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "normgraph/runtime/executable.hpp"

/// f32 elements in row-major order.
struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
    std::vector<std::int64_t> strides = {};  ///< in bytes; set by `view`

    /// The same memory as normgraph sees it; good as long as the tensor stays where it is.
    normgraph::runtime::Array view() {
        strides.assign(shape.size(), sizeof(float));
        for (std::size_t axis = shape.size(); axis-- > 1;) {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        return {normgraph::element::f32, shape, strides,
                reinterpret_cast<std::byte*>(values.data()), true};
    }
};

/// The results of a function of f32 tensors.
inline std::vector<Tensor> run(const normgraph::Function& function, std::vector<Tensor> arguments) {
    using namespace normgraph;
    const runtime::Executable executable(function, runtime::Backend::cpu);
    std::vector<runtime::Array> inputs;
    for (Tensor& argument : arguments) {
        inputs.push_back(argument.view());
    }
    // Checks the arguments, and says which shapes the results have. Plans are remembered.
    const auto plan = executable.plan_for(inputs);
    std::vector<Tensor> results(plan->result_types.size());
    std::vector<runtime::Array> outputs;
    for (std::size_t index = 0; index < results.size(); ++index) {
        std::size_t size = 1;
        for (const Dimension& dimension : plan->result_types[index].partial_shape.dimensions()) {
            results[index].shape.push_back(dimension.length());
            size *= static_cast<std::size_t>(dimension.length());
        }
        results[index].values.resize(size);
        outputs.push_back(results[index].view());
    }
    executable.run(*plan, inputs, outputs);
    return results;
}
