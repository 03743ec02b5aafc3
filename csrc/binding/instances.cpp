#include "binding/instances.hpp"

#include <cstddef>
#include <exception>
#include <new>
#include <stdexcept>

namespace py = pybind11;

namespace normgraph::binding {
namespace {

constexpr const char* memory_sentence = "normgraph: there is not enough memory for this";

PyTypeObject* base_class() {
    return reinterpret_cast<PyTypeObject*>(py::detail::get_internals().instance_base);
}

/// pybind11 enters each object into a table when its value is made, where an exception would end
/// the process or free the value twice: that there is memory for it is found out before.
void check_room_in_table() {
    std::size_t bytes = 32768;  // and for the value itself
#ifndef Py_GIL_DISABLED
    const auto& table = py::detail::get_internals().registered_instances;
    const auto capacity = static_cast<std::size_t>(table.max_load_factor() *
                                                   static_cast<float>(table.bucket_count()));
    if (table.size() + 1 >= capacity) {
        bytes += 4 * table.bucket_count() * sizeof(void*);  // it is about to grow
    }
#endif
    // Called by name: compilers may leave out a new expression, or malloc, of what is not used.
    ::operator delete(::operator new(bytes));
}

/// The slot tp_alloc. pybind11 calls it from C++ alone, and does not look for null.
PyObject* allocate_or_throw(PyTypeObject* type, Py_ssize_t count) {
    check_room_in_table();
    PyObject* const object = PyType_GenericAlloc(type, count);
    if (object == nullptr) {
        PyErr_Clear();
        throw std::bad_alloc();
    }
    return object;
}

/// The slot tp_new, which CPython calls: no exception of C++ may leave it.
PyObject* new_instance(PyTypeObject* type, PyObject* /*arguments*/, PyObject* /*keywords*/) {
    try {
        // A subclass written in Python has a tp_alloc of its own, which returns null.
        auto object = py::reinterpret_steal<py::object>(type->tp_alloc(type, 0));
        if (!object) {
            throw std::bad_alloc();
        }
        reinterpret_cast<py::detail::instance*>(object.ptr())->allocate_layout();
        return object.release().ptr();
    } catch (const std::bad_alloc&) {
        PyErr_SetString(PyExc_MemoryError, memory_sentence);
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_TypeError, error.what());
    }
    return nullptr;
}

/// The base class's: that it is another function makes CPython refuse `Class.__new__(Class)`. Other
/// modules' classes that inherit it work as before.
PyObject* new_instance_of_base(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
    try {
        if (py::detail::all_type_info(type).empty()) {
            PyErr_Format(PyExc_TypeError, "cannot create instances of %.200s", type->tp_name);
            return nullptr;
        }
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_TypeError, error.what());
        return nullptr;
    }
    return new_instance(type, arguments, keywords);
}

void translate(std::exception_ptr thrown) {
    try {
        if (thrown) {
            std::rethrow_exception(thrown);
        }
    } catch (const std::bad_alloc&) {
        PyErr_SetString(PyExc_MemoryError, memory_sentence);
    } catch (const std::runtime_error&) {
        // pybind11's own words where CPython could not make an object.
        if (PyErr_Occurred() == nullptr || PyErr_ExceptionMatches(PyExc_MemoryError) == 0) {
            throw;
        }
        PyErr_SetString(PyExc_MemoryError, memory_sentence);
    }
}

}  // namespace

void protect_base_class() {
    base_class()->tp_new = new_instance_of_base;
    PyType_Modified(base_class());
}

void protect_classes(py::handle module) {
    for (const auto& [name, member] : module.attr("__dict__").cast<py::dict>()) {
        if (PyModule_Check(member.ptr()) != 0) {
            protect_classes(member);
        }
        if (PyType_Check(member.ptr()) == 0) {
            continue;
        }
        auto* const type = reinterpret_cast<PyTypeObject*>(member.ptr());
        if (PyType_IsSubtype(type, base_class()) != 0) {
            type->tp_alloc = allocate_or_throw;
            type->tp_new = new_instance;
            PyType_Modified(type);
            // Neither `object.__class__ = another` nor `Class.__new__ = …`: methods would read a
            // value of another type.
            type->tp_flags |= Py_TPFLAGS_IMMUTABLETYPE;
        }
    }
}

void register_memory_errors() {
    py::register_local_exception_translator(&translate);
}

}  // namespace normgraph::binding
