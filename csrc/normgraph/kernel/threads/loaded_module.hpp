#pragma once

namespace normgraph::kernel {

/// Keeps the shared library that contains this function loaded until the process ends, whoever
/// closes it: threads sleep in its code. No effect in a program that contains it itself, nor where
/// the system has no such request.
void keep_this_module_loaded();

}  // namespace normgraph::kernel
