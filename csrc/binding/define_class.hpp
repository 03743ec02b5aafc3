#pragma once

#include <pybind11/pybind11.h>

namespace normgraph::binding {

/// How pybind11 makes an instance of a class, and what is done where it finds no memory to enter it
/// among its instances. The instance then refers to its object, but has no holder yet, so that
/// pybind11 takes the object's memory for its own when it drops the instance, whoever owns it.
template <typename Class>
class InstanceOf {
public:
    static void replace_initialization() {
        pybind11::detail::type_info& type = *pybind11::detail::get_type_info(typeid(Class));
        original = type.init_instance;
        type.init_instance = initialize;
    }

private:
    static void initialize(pybind11::detail::instance* instance, const void* holder) {
        try {
            original(instance, holder);
        } catch (...) {
            forget(*instance, holder);
            throw;
        }
    }
    static void forget(pybind11::detail::instance& instance, const void* holder) {
        auto value = instance.get_value_and_holder(pybind11::detail::get_type_info(typeid(Class)));
        if (value.holder_constructed()) {
            return;
        }
        if (holder == nullptr && instance.owned) {
            delete value.template value_ptr<Class>();
        }
        value.value_ptr() = nullptr;
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
