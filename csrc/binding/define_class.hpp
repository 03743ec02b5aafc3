#pragma once

#include <pybind11/pybind11.h>

namespace normgraph::binding {

/// How pybind11 makes an instance of a class, in an order that leaves nothing half made. pybind11
/// enters the instance into its table first and makes its holder then. Where there was no memory
/// for the table, it would take the object's memory for its own when it drops the instance, whoever
/// owns it; and without an interpreter lock, another thread would find an instance that has no
/// holder.
template <typename Class>
class InstanceOf {
public:
    static void replace_initialization() {
        pybind11::detail::type_info& type = *pybind11::detail::get_type_info(typeid(Class));
        original = type.init_instance;
        type.init_instance = initialize;
    }

private:
    /// pybind11's own initialization makes the holder alone where it believes that the instance is
    /// in the table. A holder that cannot be made has freed the object, if it was to own it.
    static void initialize(pybind11::detail::instance* instance, const void* holder) {
        auto value = instance->get_value_and_holder(pybind11::detail::get_type_info(typeid(Class)));
        value.set_instance_registered();
        try {
            original(instance, holder);
            pybind11::detail::register_instance(instance, value.value_ptr(), value.type);
        } catch (...) {
            value.set_instance_registered(false);
            if (!value.holder_constructed()) {
                value.value_ptr() = nullptr;
            }
            throw;
        }
    }

    static inline void (*original)(pybind11::detail::instance*, const void*) = nullptr;
};

/// For properties that the C++ class returns by reference. As parts of the instance that has them,
/// which is pybind11's default, they would keep it alive, and where pybind11 finds no memory to
/// note that, it ends the process.
inline constexpr auto copied = pybind11::return_value_policy::copy;

/// A class of Python, as pybind11::class_ defines it, whose instances are whole or a MemoryError.
template <typename Class, typename... Options, typename... Extras>
pybind11::class_<Class, Options...> define_class(pybind11::handle scope, const char* name,
                                                 const Extras&... extras) {
    pybind11::class_<Class, Options...> defined(scope, name, extras...);
    InstanceOf<Class>::replace_initialization();
    return defined;
}

}  // namespace normgraph::binding
