#include "normgraph/kernel/threads/parallel_for.hpp"

#include <algorithm>

#include "normgraph/kernel/threads/executor.hpp"
#include "normgraph/kernel/threads/floating_point_environment.hpp"
#include "normgraph/kernel/threads/interruption.hpp"
#include "normgraph/kernel/threads/job.hpp"
#include "normgraph/kernel/threads/thread_pool.hpp"

namespace normgraph::kernel {

void parallel_for(std::int64_t task_count, std::int64_t num_threads,
                  FunctionReference<void(std::int64_t)> task) {
    const DefaultFloatingPointEnvironment environment;
    const std::int64_t useful_threads = std::min(task_count, num_threads);
    if (useful_threads <= 1 || Job::is_running_in_this_thread()) {
        for (std::int64_t index = 0; index < task_count; ++index) {
            stop_if_interrupted();
            task(index);
        }
        return;
    }
    Job job(task_count, task);
    if (const ScopedExecutor* const host = ScopedExecutor::current()) {
        host->run(useful_threads, [&](std::int64_t /*task*/) {
            const DefaultFloatingPointEnvironment of_its_thread;
            job.work();
        });
    } else {
        process_thread_pool().run(job, useful_threads - 1);
    }
    job.rethrow_failure();
    stop_if_interrupted();  // it may have been asked to when all tasks had been taken
}

}  // namespace normgraph::kernel
