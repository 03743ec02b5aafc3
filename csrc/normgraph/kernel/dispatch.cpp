#include "normgraph/kernel/dispatch.hpp"

#include <array>
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "normgraph/kernel/cpu_features.hpp"
#include "normgraph/kernel/environment.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/reference/share.hpp"
#include "normgraph/kernel/simd/tables/tables.hpp"

namespace normgraph::kernel {
namespace {

template <const simd::MicroKernelTable* table, typename... Arguments>
constexpr KernelTuple<Arguments...> kernels_of(
    std::type_identity<KernelTuple<Arguments...>> /*list*/) {
    return {[](const Arguments& arguments, std::int64_t num_threads) {
        simd::run_kernel(*table, arguments, num_threads);
    }...};
}

/// Reference kernels that compute a range of channels share them; the others share their work
/// themselves.
template <typename Arguments>
void run_reference(const Arguments& arguments, std::int64_t num_threads) {
    if constexpr (requires(ChannelRange range) { reference::run_kernel(arguments, range); }) {
        reference::share_channels(arguments, num_threads);
    } else {
        reference::run_kernel(arguments, num_threads);
    }
}

template <typename... Arguments>
constexpr KernelTuple<Arguments...> reference_kernels(
    std::type_identity<KernelTuple<Arguments...>> /*list*/) {
    return {run_reference<Arguments>...};
}

constexpr std::type_identity<Kernels> every_kernel{};

/// The kernels with the micro-kernels of one instruction set.
template <const simd::MicroKernelTable* table>
constexpr Implementation with_micro_kernels(std::string_view name, std::string_view requirement,
                                            bool (*runs_here)()) {
    return {name, requirement, runs_here, kernels_of<table>(every_kernel)};
}

bool always() {
    return true;
}

constexpr std::array implementations{
#if defined(__x86_64__) || defined(_M_X64)
#if !defined(NORMGRAPH_BASELINE_ONLY)
    with_micro_kernels<&simd::avx512_bf16_table>("avx512_bf16", "AVX-512 F, BW, DQ, VL and BF16",
                                                 has_avx512_bf16),
    with_micro_kernels<&simd::avx512_table>("avx512", "AVX-512 F, BW, DQ and VL", has_avx512),
    with_micro_kernels<&simd::avx2_table>("avx2", "AVX2, FMA and F16C", has_avx2),
#endif
    with_micro_kernels<&simd::sse2_table>("sse2", "SSE2, which every x86-64 processor has", always),
#elif defined(__aarch64__)
    with_micro_kernels<&simd::neon_table>("neon", "NEON, which every AArch64 processor has",
                                          always),
#endif
    Implementation{"reference", "nothing", always, reference_kernels(every_kernel)},
};

constinit std::atomic<const Implementation*> choice{nullptr};

const Implementation& choose() {
    const char* const forced = std::getenv("NORMGRAPH_ISA");
    if (forced != nullptr && *forced != '\0') {
        try {
            return implementation(printable(forced));
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
    for (const Implementation& candidate : implementations) {
        if (candidate.name == name && candidate.runs_here()) {
            return candidate;
        }
    }
    std::string running;
    for (const Implementation& candidate : implementations) {
        if (candidate.runs_here()) {
            running.append(running.empty() ? "" : ", ").append(candidate.name);
        }
    }
    throw std::invalid_argument("expected the name of an implementation that runs here (" +
                                running + "), got '" + std::string(name) + "'");
}

const Implementation& chosen_implementation() {
    // No function-local static: the child of a fork during its initialization would wait for ever.
    const Implementation* known = choice.load(std::memory_order_relaxed);
    if (known == nullptr) {
        known = &choose();
        choice.store(known, std::memory_order_relaxed);
    }
    return *known;
}

}  // namespace normgraph::kernel
