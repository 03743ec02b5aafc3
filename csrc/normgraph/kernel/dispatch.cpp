#include "normgraph/kernel/dispatch.hpp"

#include <array>
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "normgraph/kernel/cpu_features.hpp"
#include "normgraph/kernel/reference/kernels.hpp"
#include "normgraph/kernel/reference/primitives.hpp"
#include "normgraph/kernel/reference/share.hpp"
#include "normgraph/kernel/simd/kernels.hpp"
#include "normgraph/kernel/simd/tables/tables.hpp"
#include "normgraph/kernel/threads/floating_point_environment.hpp"

namespace normgraph::kernel {
namespace {

template <const simd::MicroKernelTable* table>
constexpr PrimitiveKernels primitives_with_micro_kernels{
    .element_wise =
        [](const ElementWiseProgram& program, std::int64_t num_threads) {
            simd::element_wise(*table, program, num_threads);
        },
    .sum = [](const SumArguments& arguments,
              std::int64_t num_threads) { simd::sum(*table, arguments, num_threads); },
    .matrix_multiply =
        [](const MatrixMultiplyArguments& arguments, std::int64_t num_threads) {
            simd::matrix_multiply(*table, arguments, num_threads);
        },
    .relu_mask = [](const ReluMaskArguments& arguments,
                    std::int64_t num_threads) { simd::relu_mask(*table, arguments, num_threads); },
    .relu_mask_select =
        [](const ReluMaskSelectArguments& arguments, std::int64_t num_threads) {
            simd::relu_mask_select(*table, arguments, num_threads);
        },
};

/// The ops' kernels with the micro-kernels of one instruction set.
template <const simd::MicroKernelTable* table>
constexpr Implementation with_micro_kernels(std::string_view name, std::string_view requirement,
                                            bool (*runs_here)()) {
    return {
        .name = name,
        .requirement = requirement,
        .runs_here = runs_here,
        .batch_norm_training =
            [](const BatchNormTrainingArguments& arguments, std::int64_t num_threads) {
                simd::batch_norm_training(*table, arguments, num_threads);
            },
        .batch_norm_inference =
            [](const BatchNormInferenceArguments& arguments, std::int64_t num_threads) {
                simd::batch_norm_inference(*table, arguments, num_threads);
            },
        .batch_norm_backprop =
            [](const BatchNormBackpropArguments& arguments, std::int64_t num_threads) {
                simd::batch_norm_backprop(*table, arguments, num_threads);
            },
        .primitives = &primitives_with_micro_kernels<table>,
    };
}

bool always() {
    return true;
}

constexpr std::array implementations{
#if defined(__x86_64__) || defined(_M_X64)
#if !defined(NORMGRAPH_BASELINE_ONLY)
    with_micro_kernels<&simd::avx512_table>("avx512", "AVX-512 F, BW, DQ and VL, FMA", has_avx512),
    with_micro_kernels<&simd::avx2_table>("avx2", "AVX2 and F16C", has_avx2),
#endif
    with_micro_kernels<&simd::sse2_table>("sse2", "SSE2, which every x86-64 processor has", always),
#elif defined(__aarch64__)
    with_micro_kernels<&simd::neon_table>("neon", "NEON, which every AArch64 processor has",
                                          always),
#endif
    Implementation{
        .name = "reference",
        .requirement = "nothing",
        .runs_here = always,
        .batch_norm_training = reference::share_channels<reference::batch_norm_training>,
        .batch_norm_inference = reference::share_channels<reference::batch_norm_inference>,
        .batch_norm_backprop = reference::share_channels<reference::batch_norm_backprop>,
        .primitives = &reference::primitive_kernels,
    },
};

constinit std::atomic<const Implementation*> chosen{nullptr};

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

/// The environment is set here for what a kernel computes outside of parallel_for's tasks, as it
/// does with coefficients.
template <typename Arguments>
void run(void (*kernel)(const Arguments&, std::int64_t num_threads), const Arguments& arguments,
         std::int64_t num_threads) {
    const DefaultFloatingPointEnvironment environment;
    kernel(arguments, num_threads);
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
    // No function-local static: the child of a fork during its initialization would wait for ever.
    const Implementation* known = chosen.load(std::memory_order_relaxed);
    if (known == nullptr) {
        known = &choose();
        chosen.store(known, std::memory_order_relaxed);
    }
    return *known;
}

void batch_norm_training(const BatchNormTrainingArguments& arguments, std::int64_t num_threads,
                         const Implementation& implementation) {
    run(implementation.batch_norm_training, arguments, num_threads);
}

void batch_norm_inference(const BatchNormInferenceArguments& arguments, std::int64_t num_threads,
                          const Implementation& implementation) {
    run(implementation.batch_norm_inference, arguments, num_threads);
}

void batch_norm_backprop(const BatchNormBackpropArguments& arguments, std::int64_t num_threads,
                         const Implementation& implementation) {
    run(implementation.batch_norm_backprop, arguments, num_threads);
}

}  // namespace normgraph::kernel
