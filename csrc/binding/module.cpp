#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "binding/instances.hpp"
#include "binding/locks_of_children.hpp"
#include "binding/register.hpp"

PYBIND11_MODULE(_core, module, pybind11::mod_gil_not_used()) {
    using namespace normgraph::binding;
    // At once: numpy's functions are else looked up in the first call, under a lock that waits for
    // itself if the look-up runs Python code that calls a kernel.
    pybind11::detail::npy_api::get();
    protect_base_class();
    leave_no_lock_locked_in_children();
    register_memory_errors();
    module.doc() = "The compiled part of normgraph; the package normgraph is its public face.";

    register_element_type(module);
    register_shape(module);
    register_node(module);
    register_constant(module);
    register_function(module);
    register_op(module);
    register_pass(module);
    register_rewrite(module);
    register_kernel(module);
    register_batch_part(module);
    register_running_statistics(module);
    register_executable(module);
    register_memory(module);
    register_config(module);
    register_torch(module);
    register_jax(module);
    protect_classes(module);
}
