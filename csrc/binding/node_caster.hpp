#pragma once

#include <pybind11/pybind11.h>

#include <concepts>
#include <memory>

#include "normgraph/ir/node.hpp"

#ifdef Py_GIL_DISABLED

namespace normgraph::binding {

/// Held while a node's Python object is looked up, and made if there is none.
class NodeObjectsLock {
public:
    NodeObjectsLock() { PyMutex_Lock(&mutex); }
    ~NodeObjectsLock() { PyMutex_Unlock(&mutex); }
    NodeObjectsLock(const NodeObjectsLock&) = delete;
    NodeObjectsLock& operator=(const NodeObjectsLock&) = delete;

private:
    static inline PyMutex mutex{};
};

}  // namespace normgraph::binding

namespace pybind11::detail {

/// A node has one Python object, however many threads ask for it at once: `is` and the ids in
/// copy.deepcopy's memo say which nodes are the same. pybind11 looks it up and makes it in two
/// steps. No Python code runs within the lock, since collecting waits for the end of C functions.
template <std::derived_from<normgraph::Node> NodeType>
class type_caster<std::shared_ptr<NodeType>>
    : public copyable_holder_caster<NodeType, std::shared_ptr<NodeType>> {
    using Base = copyable_holder_caster<NodeType, std::shared_ptr<NodeType>>;

public:
    using Base::Base;
    using Base::cast;

    static handle cast(const std::shared_ptr<NodeType>& node, return_value_policy policy,
                       handle parent) {
        const normgraph::binding::NodeObjectsLock lock;
        return Base::cast(node, policy, parent);
    }
};

}  // namespace pybind11::detail

#endif
