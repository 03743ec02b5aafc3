#pragma once

#include <pybind11/pybind11.h>

/// The table of contents of the extension module: each function registers one room.
namespace normgraph::binding {

void register_element_type(pybind11::module_& module);
void register_shape(pybind11::module_& module);
void register_node(pybind11::module_& module);
void register_constant(pybind11::module_& module);
void register_function(pybind11::module_& module);
void register_op(pybind11::module_& module);
void register_pass(pybind11::module_& module);
void register_rewrite(pybind11::module_& module);
void register_kernel(pybind11::module_& module);
void register_batch_part(pybind11::module_& module);
void register_running_statistics(pybind11::module_& module);
void register_executable(pybind11::module_& module);
void register_memory(pybind11::module_& module);
void register_config(pybind11::module_& module);
void register_torch(pybind11::module_& module);
void register_jax(pybind11::module_& module);

}  // namespace normgraph::binding
