#include "normgraph/kernel/dispatch.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "normgraph/kernel/reference/kernels.hpp"
#include "normgraph/kernel/threads/parallel_for.hpp"

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

/// The least work that is worth a thread: waking one takes some 20 µs, in which the reference
/// kernel does about as many elements.
constexpr std::int64_t elements_per_thread = 16384;

/// More tasks than threads, so that one that is late leaves its work to the others.
constexpr std::int64_t tasks_per_thread = 4;

std::int64_t element_count(const Problem& problem) {
    std::int64_t count = 1;
    for (const std::int64_t length : problem.shape) {
        count *= length;
    }
    return count;
}

/// Runs the kernel on all channels, in ranges of nearly equal size.
template <typename Arguments>
void share_channels(const Arguments& arguments, void (*kernel)(const Arguments&, ChannelRange),
                    std::int64_t num_threads) {
    const std::int64_t channels = all_channels(arguments.problem).end;
    const std::int64_t threads =
        std::min(num_threads, 1 + element_count(arguments.problem) / elements_per_thread);
    const std::int64_t tasks = threads <= 1 ? 1 : std::min(channels, threads * tasks_per_thread);
    parallel_for(tasks, threads, [&](std::int64_t task) {
        // Not channels * task / tasks, which may overflow.
        const std::int64_t size = channels / tasks;
        const std::int64_t larger = channels % tasks;
        const std::int64_t begin = task * size + std::min(task, larger);
        kernel(arguments, {begin, begin + size + (task < larger ? 1 : 0)});
    });
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

void batch_norm_training(const BatchNormTrainingArguments& arguments, std::int64_t num_threads,
                         const Implementation& implementation) {
    share_channels(arguments, implementation.batch_norm_training, num_threads);
}

void batch_norm_inference(const BatchNormInferenceArguments& arguments, std::int64_t num_threads,
                          const Implementation& implementation) {
    share_channels(arguments, implementation.batch_norm_inference, num_threads);
}

void batch_norm_training_backprop(const BatchNormTrainingBackpropArguments& arguments,
                                  std::int64_t num_threads, const Implementation& implementation) {
    share_channels(arguments, implementation.batch_norm_training_backprop, num_threads);
}

}  // namespace normgraph::kernel
