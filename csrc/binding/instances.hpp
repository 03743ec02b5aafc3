#pragma once

#include <pybind11/pybind11.h>

namespace normgraph::binding {

/// Whether the object is of this class of the module. Unlike py::isinstance, it does not believe
/// the attribute `__class__`, which proxies set and no cast can follow.
template <typename T>
bool is_instance(pybind11::handle object) {
    const pybind11::handle type = pybind11::type::handle_of<T>();
    return PyObject_TypeCheck(object.ptr(), reinterpret_cast<PyTypeObject*>(type.ptr())) != 0;
}

/// Lets objects of this module's classes be made by their classes alone: `Class.__new__(Class)` is
/// a TypeError, since methods would read a value that nobody has set. Where memory runs out, the
/// classes raise MemoryError; pybind11 takes it for granted that there is some. No attribute of the
/// classes can be set, and none of their objects be made one of another class.
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
