#include "normgraph/kernel/dispatch.hpp"

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "normgraph/kernel/floating_point_environment.hpp"
#include "normgraph/kernel/reference/kernels.hpp"

namespace normgraph::kernel {
namespace {

constexpr std::array implementations{
    Implementation{"reference", [] { return true; }, reference::batch_norm_training,
                   reference::batch_norm_inference, reference::batch_norm_training_backprop},
};

const Implementation& choose() {
    const char* const forced = std::getenv("NORMGRAPH_ISA");
    if (forced != nullptr && *forced != '\0') {
        try {
            return implementation(forced);
        } catch (const std::invalid_argument& error) {
            throw std::invalid_argument(std::string("environment variable NORMGRAPH_ISA: ") +
                                        error.what());
        }
    }
    for (const Implementation& candidate : implementations) {
        if (candidate.runs_here()) {
            return candidate;
        }
    }
    return implementations.back();
}

}  // namespace

std::span<const Implementation> built_implementations() {
    return implementations;
}

const Implementation& implementation(std::string_view name) {
    std::string running;
    for (const Implementation& candidate : implementations) {
        if (!candidate.runs_here()) {
            continue;
        }
        if (candidate.name == name) {
            return candidate;
        }
        running.append(running.empty() ? "" : ", ").append(candidate.name);
    }
    throw std::invalid_argument("expected the name of an implementation that runs here (" +
                                running + "), got '" + std::string(name) + "'");
}

const Implementation& chosen_implementation() {
    static const Implementation& chosen = choose();
    return chosen;
}

void batch_norm_training(const BatchNormTrainingArguments& arguments) {
    const DefaultFloatingPointEnvironment environment;
    chosen_implementation().batch_norm_training(arguments);
}

void batch_norm_inference(const BatchNormInferenceArguments& arguments) {
    const DefaultFloatingPointEnvironment environment;
    chosen_implementation().batch_norm_inference(arguments);
}

void batch_norm_training_backprop(const BatchNormTrainingBackpropArguments& arguments) {
    const DefaultFloatingPointEnvironment environment;
    chosen_implementation().batch_norm_training_backprop(arguments);
}

}  // namespace normgraph::kernel
