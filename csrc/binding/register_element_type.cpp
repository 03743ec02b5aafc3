#include <memory>
#include <string>

#include "binding/conversion.hpp"
#include "binding/define_class.hpp"
#include "binding/register.hpp"
#include "normgraph/ir/element_type.hpp"

namespace py = pybind11;

namespace normgraph::binding {

namespace {

constexpr const char* type_doc = R"(The type of a tensor's elements.

Type(x) takes a name (f16, bf16, f32, f64, i8 ... i64, u8 ... u64, boolean, dynamic), a numpy dtype
or scalar class, or a Type. Raises ValueError for an unknown name or a foreign byte order, TypeError
for anything else, Python's float and int included, whose width is not said.

str() gives the name. Types are hashable and equal if they are the same; dynamic stands for a type
that is not known yet.
)";

}  // namespace

void register_element_type(py::module_& module) {
    const py::module_ element_module = module.def_submodule("element", "Element types of tensors.");
    define_class<element::Type>(element_module, "Type", type_doc, py::is_final())
        .def(py::init([](const py::object& value) {
                 return std::make_unique<element::Type>(
                     element_type_from_python("element type", value));
             }),
             py::arg("value"))
        .def_property_readonly("name", &element::Type::name, "'f32'; Type() reads it back.")
        .def_property_readonly("size", &element::Type::size,
                               "Bytes per element; 0 for the dynamic type.")
        .def_property_readonly("is_real", &element::Type::is_real,
                               "True for f16, bf16, f32 and f64.")
        .def_property_readonly("is_dynamic", &element::Type::is_dynamic)
        .def_property_readonly("is_static", &element::Type::is_static)
        .def_property_readonly(
            "dtype", &numpy_dtype,
            "The numpy dtype; ImportError for bf16 without ml_dtypes, ValueError "
            "for the dynamic type.")
        .def(
            "__eq__", [](element::Type left, element::Type right) { return left == right; },
            py::is_operator())
        .def("__hash__",
             [](element::Type type) { return py::hash(py::str(std::string(type.name()))); })
        .def("__str__", &element::Type::name)
        .def("__repr__", [](element::Type type) { return "element." + std::string(type.name()); })
        .def("__reduce__", [](py::handle self) {
            return py::make_tuple(py::type::of(self), py::make_tuple(self.attr("name")));
        });
    for (const element::Type type : element::all_types()) {
        element_module.attr(std::string(type.name()).c_str()) = type;
    }
}

}  // namespace normgraph::binding
