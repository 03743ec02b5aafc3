#include "binding/python_function.hpp"

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

#include <stdexcept>
#include <utility>

namespace py = pybind11;

namespace normgraph::binding {

void set_python_error() {
    try {
        throw;
    } catch (py::error_already_set& error) {
        error.restore();
#ifdef __GLIBCXX__
    } catch (abi::__forced_unwind&) {
        throw;  // the thread is being ended inside of Python code that was called from here
#endif
    } catch (...) {
        py::detail::try_translate_exceptions();
    }
}

PythonFunction::PythonFunction(std::string name, std::vector<PythonParameter> parameters,
                               const std::string& documentation, Entry entry)
    : parameters_(std::move(name), std::move(parameters)),
      documentation_(with_text_signature(parameters_, documentation)),
      definition_{parameters_.function_name().c_str(),
                  reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(entry)),
                  METH_FASTCALL | METH_KEYWORDS, documentation_.c_str()} {
    if (parameters_.count() > most_parameters) {
        throw std::length_error(parameters_.function_name() + ": more than most_parameters");
    }
}

void PythonFunction::define_in(py::handle scope) {
    const bool is_module = PyModule_Check(scope.ptr()) != 0;
    const py::object module = scope.attr(is_module ? "__name__" : "__module__");
    auto function = py::reinterpret_steal<py::object>(
        PyCFunction_NewEx(&definition_, is_module ? scope.ptr() : nullptr, module.ptr()));
    if (function && !is_module) {
        function = py::reinterpret_steal<py::object>(PyStaticMethod_New(function.ptr()));
    }
    if (!function) {
        throw py::error_already_set();
    }
    scope.attr(definition_.ml_name) = function;
}

}  // namespace normgraph::binding
