#pragma once

#include <pybind11/pybind11.h>

#include <concepts>
#include <memory>

#include "normgraph/ir/function.hpp"
#include "normgraph/ir/node.hpp"

#ifdef Py_GIL_DISABLED

namespace normgraph::binding {

/// Nodes and functions, which Python objects share.
template <typename T>
concept GraphObject = std::derived_from<T, Node> || std::same_as<T, Function>;

/// Held while the Python object of a node or function is looked up, and made if there is none. No
/// Python code runs meanwhile, since CPython collects between its own instructions alone.
class GraphObjectsLock {
public:
    GraphObjectsLock() { PyMutex_Lock(&mutex); }
    ~GraphObjectsLock() { PyMutex_Unlock(&mutex); }
    GraphObjectsLock(const GraphObjectsLock&) = delete;
    GraphObjectsLock& operator=(const GraphObjectsLock&) = delete;

    /// For the child of a fork, which has none of the threads that may have held it.
    static void reset() { mutex = PyMutex{}; }

private:
    static inline PyMutex mutex{};
};

}  // namespace normgraph::binding

namespace pybind11::detail {

/// Each has one Python object, however many threads ask for it at once: `is`, and the ids in
/// copy.deepcopy's memo, say which are the same. pybind11 looks it up and makes it in two steps.
template <normgraph::binding::GraphObject T>
class type_caster<std::shared_ptr<T>> : public copyable_holder_caster<T, std::shared_ptr<T>> {
    using Base = copyable_holder_caster<T, std::shared_ptr<T>>;

public:
    using Base::Base;
    using Base::cast;

    static handle cast(const std::shared_ptr<T>& object, return_value_policy policy,
                       handle parent) {
        const normgraph::binding::GraphObjectsLock lock;
        return Base::cast(object, policy, parent);
    }
};

}  // namespace pybind11::detail

#endif
