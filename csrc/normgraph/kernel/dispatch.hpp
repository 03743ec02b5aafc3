#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/primitive_contract.hpp"
#include "normgraph/kernel/threads/num_threads.hpp"

/// Which implementation runs: named objects in one ordered list.
namespace normgraph::kernel {

/// The kernels of one instruction set. All implementations give the same bits, at every number of
/// threads (>= 1).
struct Implementation {
    std::string_view name;
    std::string_view requirement;  ///< what the processor must have, "AVX2 and F16C"
    bool (*runs_here)();           ///< whether it has, and the operating system lets us use it
    void (*batch_norm_training)(const BatchNormTrainingArguments&, std::int64_t num_threads);
    void (*batch_norm_inference)(const BatchNormInferenceArguments&, std::int64_t num_threads);
    void (*batch_norm_backprop)(const BatchNormBackpropArguments&, std::int64_t num_threads);
    const PrimitiveKernels* primitives;  ///< not null
};

/// Every implementation that was built, best first; the last one, "reference", runs everywhere.
std::span<const Implementation> built_implementations();

/// The built implementation of that name. Throws std::invalid_argument, listing the names that run
/// here, if there is none or it does not run here.
const Implementation& implementation(std::string_view name);

/// The one the environment variable NORMGRAPH_ISA names, else the first that runs here. Decided at
/// the first call. Throws std::invalid_argument if NORMGRAPH_ISA names none that runs here.
const Implementation& chosen_implementation();

/// Run an implementation that runs here in the default floating-point environment, the work shared
/// by at most num_threads threads (>= 1); small problems use fewer. The bits do not depend on
/// either.
void batch_norm_training(const BatchNormTrainingArguments& arguments,
                         std::int64_t num_threads = get_num_threads(),
                         const Implementation& implementation = chosen_implementation());
void batch_norm_inference(const BatchNormInferenceArguments& arguments,
                          std::int64_t num_threads = get_num_threads(),
                          const Implementation& implementation = chosen_implementation());
void batch_norm_backprop(const BatchNormBackpropArguments& arguments,
                         std::int64_t num_threads = get_num_threads(),
                         const Implementation& implementation = chosen_implementation());

}  // namespace normgraph::kernel
