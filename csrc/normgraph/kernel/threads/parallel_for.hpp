#pragma once

#include <cstdint>

#include "normgraph/kernel/threads/function_reference.hpp"

/// Independent tasks on the threads of the process's own pool, or of a host (see executor.hpp).
namespace normgraph::kernel {

/// Calls task(0) … task(task_count − 1), each once, and returns when all have ended: their effects
/// are then visible to the caller. Nothing is called if task_count <= 0.
///
/// - At most num_threads threads take part, one of them the caller; the next free thread takes the
///   next task, in ascending order. So tasks must not depend on who runs them, nor wait for one
///   another. A task must not fork.
/// - With num_threads <= 1, or with one task, it is a plain loop: no lock, no allocation, no pool.
///   So it is inside of a task that runs on several threads: nested use adds no threads.
/// - Any number of threads may call it at once. A caller never waits for a thread that is busy with
///   another call: at worst it does all of its tasks itself.
/// - Threads are started when first needed, as many as the largest num_threads has asked for (at
///   most four times as many as there are processors, or 31 where that is more; fewer if the system
///   refuses), and sleep between calls. They hold nothing that needs
///   an end: the process may exit, fork or unload this library at any time. The child of a fork
///   starts threads of its own, even if another thread was in a call during the fork.
/// - Inside of an Interruption, Interrupted is thrown here when the work is to be given up; tasks
///   that take longer than some milliseconds call stop_if_interrupted in between.
/// - Tasks run in the default floating-point environment; the caller's is restored.
/// - If tasks throw, the remaining ones are left out and the exception of the first of them (by
///   index) is thrown here: the same one that a plain loop would throw.
/// - The threads' stacks are the platform's default (as little as 128 KiB with musl).
void parallel_for(std::int64_t task_count, std::int64_t num_threads,
                  FunctionReference<void(std::int64_t)> task);

}  // namespace normgraph::kernel
