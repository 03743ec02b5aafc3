#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/primitive_contract.hpp"
#include "normgraph/kernel/threads/floating_point_environment.hpp"
#include "normgraph/kernel/threads/num_threads.hpp"

/// Which implementation runs: named objects in one ordered list.
namespace normgraph::kernel {

/// A kernel on at most num_threads threads (>= 1), which small problems do not use.
template <typename Arguments>
using Kernel = void (*)(const Arguments& arguments, std::int64_t num_threads);

template <typename... Arguments>
using KernelTuple = std::tuple<Kernel<Arguments>...>;

/// One kernel for each kind of arguments.
using Kernels =
    decltype(std::tuple_cat(BatchNormKernels<KernelTuple>(), PrimitiveKernels<KernelTuple>()));

/// The kernels of one instruction set. All implementations give the same bits, at every number of
/// threads.
struct Implementation {
    std::string_view name;
    std::string_view requirement;  ///< what the processor must have, "AVX2 and F16C"
    bool (*runs_here)();           ///< whether it has, and the operating system lets us use it
    Kernels kernels;

    /// Runs the kernel of these arguments in the calling thread's floating-point environment, which
    /// is to be the default one.
    template <typename Arguments>
    void run(const Arguments& arguments, std::int64_t num_threads) const {
        std::get<Kernel<Arguments>>(kernels)(arguments, num_threads);
    }
};

/// Every implementation that was built, best first; the last one, "reference", runs everywhere.
std::span<const Implementation> built_implementations();

/// The built implementation of that name. Throws std::invalid_argument, listing the names that run
/// here, if there is none or it does not run here.
const Implementation& implementation(std::string_view name);

/// The one the environment variable NORMGRAPH_ISA names, else the first that runs here. Decided at
/// the first call. Throws std::invalid_argument if NORMGRAPH_ISA names none that runs here.
const Implementation& chosen_implementation();

/// Runs the kernel of these arguments, with an implementation that runs here, in the default
/// floating-point environment; the work is shared by at most num_threads threads (>= 1), and small
/// problems use fewer. The bits do not depend on either.
template <typename Arguments>
void run(const Arguments& arguments, std::int64_t num_threads = get_num_threads(),
         const Implementation& implementation = chosen_implementation()) {
    // It is set here for what a kernel computes outside of parallel_for's tasks, as it does with
    // coefficients.
    const DefaultFloatingPointEnvironment environment;
    implementation.run(arguments, num_threads);
}

}  // namespace normgraph::kernel
