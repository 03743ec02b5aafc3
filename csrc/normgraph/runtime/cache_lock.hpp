#pragma once

namespace normgraph::runtime {

/// Held while what is kept from call to call (plans of executables, blocks of the memory pool) is
/// looked at or changed: a few instructions each time, seldom a call of the system, so that one
/// mutex for all of them does. A fork waits until no thread holds it, so that the child does not
/// find it locked by a thread that it does not have.
///
/// While it is held, nothing may run that could fork: no Python code, and no code of others.
class CacheLock {
public:
    CacheLock();
    ~CacheLock();
    CacheLock(const CacheLock&) = delete;
    CacheLock& operator=(const CacheLock&) = delete;
};

}  // namespace normgraph::runtime
