#pragma once

namespace normgraph::binding {

/// Where there is no interpreter lock, CPython stops all other threads for a fork, some of which
/// may have been handed a lock that they had waited for: one of pybind11's, or that of graphs'
/// objects. None of them is at work with what the lock protects, since a thread is stopped where it
/// waits. The child, which has none of these threads, would wait for them forever. To be called
/// once.
void leave_no_lock_locked_in_children();

}  // namespace normgraph::binding
