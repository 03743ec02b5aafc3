#include "binding/locks_of_children.hpp"

#include <cstddef>
#include <new>

#include "binding/graph_caster.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace normgraph::binding {

#if defined(Py_GIL_DISABLED) && (defined(__unix__) || defined(__APPLE__))

namespace {

/// Looked up beforehand: in the child of a fork, pybind11 might wait for one of its locks.
pybind11::detail::internals* internals_of_pybind11 = nullptr;

void reset(pybind11::detail::pymutex& mutex) {
    new (&mutex) pybind11::detail::pymutex();
}

void reset_locks() {
    if (Py_IsInitialized() == 0) {
        return;  // pybind11's locks may have gone with the interpreter
    }
    pybind11::detail::internals& internals = *internals_of_pybind11;
    reset(internals.mutex);
    reset(internals.exception_translator_mutex);
    for (std::size_t shard = 0; shard <= internals.instance_shards_mask; ++shard) {
        reset(internals.instance_shards[shard].mutex);
    }
    GraphObjectsLock::reset();
}

}  // namespace

void leave_no_lock_locked_in_children() {
    internals_of_pybind11 = &pybind11::detail::get_internals();
    pthread_atfork(nullptr, nullptr, reset_locks);
}

#else

void leave_no_lock_locked_in_children() {}

#endif

}  // namespace normgraph::binding
