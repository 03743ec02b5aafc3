#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "normgraph/ir/function.hpp"
#include "normgraph/kernel/threads/num_threads.hpp"
#include "normgraph/runtime/array.hpp"
#include "normgraph/runtime/backend.hpp"
#include "normgraph/runtime/plan.hpp"

namespace normgraph::runtime {

/// A function that runs on arrays: as it was when it was compiled, whatever becomes of its nodes.
/// Any number of threads may call one executable at once.
///
/// Values between the nodes have memory that is used again as soon as they have been read for the
/// last time; it comes from the memory pool, which keeps it for the next call. Results do not
/// depend on the backend, the number of threads, or the strides of `results`; on the strides of
/// arguments only as far as those of a batch-norm op's input do (docs/numerics.md).
class Executable {
public:
    /// A node that no kernel computes is run as its decomposition, computed in f64. Throws
    /// std::invalid_argument, which names the node, if it has none.
    Executable(const Function& function, Backend backend);

    /// The names of the parameters, in their order; not necessarily distinct.
    const std::vector<std::string>& parameter_names() const { return names_; }
    std::size_t result_count() const { return function_.results().size(); }
    Backend backend() const { return backend_; }

    /// How to run on arguments of these types and shapes, one per parameter. The last few plans are
    /// remembered.
    ///
    /// Throws std::invalid_argument that lists, by the parameters' names, all arguments whose type
    /// is not described by their parameter's; NodeValidationFailure and std::invalid_argument, both
    /// with the node's name, where arguments do not fit each other (see make_plan).
    std::shared_ptr<const Plan> plan_for(std::span<const Array> arguments) const;

    /// `results` have the plan's result types, overlap neither each other nor an argument, and,
    /// like the arguments, are C-ordered where the plan wants it. `plan` is from this executable.
    void run(const Plan& plan, std::span<const Array> arguments, std::span<const Array> results,
             std::int64_t num_threads = kernel::get_num_threads()) const;

    /// The memory for intermediate values that the last call has taken, in bytes; nullopt before
    /// the first. Arguments and results do not count, nor do blocks that kernels keep in the
    /// L1 cache.
    std::optional<std::size_t> peak_bytes() const;

private:
    void check_arguments(std::span<const Array> arguments) const;
    std::shared_ptr<const Plan> remembered(std::span<const Array> arguments) const;
    void remember(std::shared_ptr<const Plan> plan) const;

    static constexpr std::size_t most_plans = 16;
    static constexpr std::int64_t never_run = -1;

    Function function_;  ///< nodes of its own
    std::vector<std::string> names_;
    Backend backend_;
    mutable std::vector<std::shared_ptr<const Plan>> plans_;  ///< last used first; a CacheLock's
    mutable std::atomic<std::int64_t> peak_bytes_ = never_run;
};

}  // namespace normgraph::runtime
