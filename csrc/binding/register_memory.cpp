#include <pybind11/pybind11.h>

#include <limits>

#include "binding/python_function.hpp"
#include "binding/register.hpp"
#include "normgraph/runtime/memory_pool.hpp"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace py = pybind11;

/// The memory pool of the process.
namespace normgraph::binding {
namespace {

using runtime::MemoryPool;

py::dict memory() {
    const MemoryPool& pool = runtime::process_memory_pool();
    const MemoryPool::Usage usage = pool.usage();
    py::dict facts;
    facts["in_use"] = usage.in_use;
    facts["free"] = usage.free;
    facts["peak_in_use"] = usage.peak_in_use;
    facts["limit"] =
        pool.limit() == MemoryPool::unlimited ? py::object(py::none()) : py::int_(pool.limit());
    return facts;
}

void release_memory() {
    runtime::process_memory_pool().release();
}

bool keep_freed_memory() {
#if defined(__GLIBC__)
    constexpr int largest_kept = 1 << 30;
    constexpr int no_limit = std::numeric_limits<int>::max();
    const bool keeps_large_blocks =
        mallopt(M_MMAP_THRESHOLD, largest_kept) == 1 || mallopt(M_MMAP_MAX, 0) == 1;
    return keeps_large_blocks && mallopt(M_TRIM_THRESHOLD, no_limit) == 1;
#else
    return false;
#endif
}

}  // namespace

void register_memory(py::module_& module) {
    define_function<Unpacked<&memory>::call>(
        module, "memory", {},
        "The pool from which new outputs of 1 MiB or more and the intermediate values of "
        "executables have their memory, as a dict of numbers of bytes: in_use, free (kept for the "
        "next calls), peak_in_use (in_use and free together never exceed it), limit (None if there "
        "is none; 0: the pool is off). The environment variable NORMGRAPH_POOL_BYTES, read when "
        "the pool is first used, sets the limit; elsewhere than on Linux it is 0. Raises "
        "ValueError if the variable is no integer of at least 0.");
    define_function<Unpacked<&release_memory>::call>(
        module, "release_memory", {},
        "Give the free memory of the pool back to the system. What is in use stays, and is kept "
        "when it becomes free.");
    define_function<Unpacked<&keep_freed_memory>::call>(
        module, "keep_freed_memory", {},
        "Let the C library keep what is freed, up to 2 GiB on end and blocks of up to 1 GiB, for "
        "the next allocations, in place of giving it back to the system: for the whole process, "
        "until it ends. Returns whether it does; only glibc is known to.");
}

}  // namespace normgraph::binding
