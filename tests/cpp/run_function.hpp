#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "normgraph/runtime/executable.hpp"

namespace normgraph {

/// The results of a function whose parameters and results are f32 vectors of one length.
inline std::vector<std::vector<float>> run_on_vectors(const Function& function,
                                                      std::vector<std::vector<float>> arguments,
                                                      runtime::Backend backend) {
    const std::vector<std::int64_t> shape{static_cast<std::int64_t>(arguments.front().size())};
    const std::vector<std::int64_t> strides{sizeof(float)};
    const auto view = [&](std::vector<float>& values) {
        return runtime::Array{element::f32, shape, strides,
                              reinterpret_cast<std::byte*>(values.data()), true};
    };
    std::vector<std::vector<float>> results(function.results().size(),
                                            std::vector<float>(arguments.front().size()));
    std::vector<runtime::Array> inputs;
    std::vector<runtime::Array> outputs;
    for (std::vector<float>& argument : arguments) {
        inputs.push_back(view(argument));
    }
    for (std::vector<float>& result : results) {
        outputs.push_back(view(result));
    }
    const runtime::Executable executable(function, backend);
    executable.run(*executable.plan_for(inputs), inputs, outputs);
    return results;
}

}  // namespace normgraph
