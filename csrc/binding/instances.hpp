#pragma once

#include <pybind11/pybind11.h>

namespace normgraph::binding {

/// Lets objects of this module's classes be made by their classes alone: `Class.__new__(Class)` is
/// a TypeError, since methods would read a value that nobody has set. Where memory runs out, the
/// classes raise MemoryError; pybind11 takes it for granted that there is some.
///
/// (pybind11 registers an object whose constructor returns a value where no exception is caught:
/// the constructors here return pointers.)
///
/// To be called before a class is registered; `protect_classes` after all are.
void protect_base_class();
void protect_classes(pybind11::handle module);

/// MemoryError says in a sentence what has happened, whoever noticed it.
void register_memory_errors();

}  // namespace normgraph::binding
