#include "binding/conversion.hpp"
#include "binding/instances.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "binding/python_errors.hpp"
#include "normgraph/ir/node.hpp"
#include "normgraph/kernel/dispatch.hpp"

namespace py = pybind11;

namespace normgraph::binding {

namespace {

[[noreturn]] void refuse_type(const std::string& argument, const std::string& expected,
                              py::handle object) {
    throw py::type_error(argument + ": expected " + expected + ", got " + describe(object));
}

/// nullopt if it does not fit.
std::optional<std::int64_t> narrow(const py::int_& integer) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(integer.ptr(), &overflow);
    return overflow == 0 ? std::optional<std::int64_t>{value} : std::nullopt;
}

/// `range` is what a number too large for a double is not in.
double real_from_python(const std::string& argument, const std::string& range, py::handle object) {
    const bool is_real = PyFloat_Check(object.ptr()) != 0 ||
                         py::isinstance(object, py::module_::import("numbers").attr("Real"));
    if (PyBool_Check(object.ptr()) != 0 || !is_real) {
        refuse_type(argument, "a real number", object);
    }
    const double value = PyFloat_AsDouble(object.ptr());
    if (PyErr_Occurred() != nullptr) {
        py::error_already_set error;
        if (!error.matches(PyExc_OverflowError)) {
            raise_because_of(error, PyExc_TypeError,
                             argument + ": expected a real number, got " + describe(object));
        }
        throw std::invalid_argument(argument + ": expected " + range +
                                    " that a double can hold, got " + describe(object));
    }
    return value;
}

constexpr const char* dimension_forms = "a length, None, (low, high) or a Dimension";

std::int64_t length_from_python(const std::string& argument, py::handle object) {
    const py::int_ integer = index_from_python(argument, dimension_forms, object);
    const std::optional<std::int64_t> length = narrow(integer);
    if (!length) {
        throw std::invalid_argument(argument + ": expected a length from 0 to " +
                                    std::to_string(Dimension::unbounded - 1) + ", got " +
                                    describe(integer));
    }
    return *length;
}

/// The value that a constructor makes, its error with the argument's name in front.
template <typename Make>
decltype(auto) named(const std::string& argument, Make make) {
    try {
        return make();
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(argument + ": " + error.what());
    }
}

Dimension interval_from_python(const std::string& argument, py::handle object) {
    // A copy: Python code, which may run for one bound, could take the other one away.
    const auto bounds = py::reinterpret_steal<py::tuple>(PySequence_Tuple(object.ptr()));
    if (!bounds) {
        throw py::error_already_set();
    }
    if (bounds.size() != 2) {
        throw std::invalid_argument(argument + ": expected an interval (low, high), got " +
                                    describe(object));
    }
    const std::int64_t low = length_from_python(argument, bounds[0]);
    const py::handle high_object = bounds[1];
    const std::int64_t high =
        high_object.is_none() ? Dimension::unbounded : length_from_python(argument, high_object);
    return named(argument, [&] { return Dimension(low, high); });
}

bool is_numpy_scalar_class(py::handle object) {
    if (!py::isinstance<py::type>(object)) {
        return false;
    }
    const int is_subclass =
        PyObject_IsSubclass(object.ptr(), py::module_::import("numpy").attr("generic").ptr());
    if (is_subclass < 0) {
        throw py::error_already_set();
    }
    return is_subclass == 1;
}

/// The names that numpy, torch and JAX have for the static element types, each of which is here.
struct ForeignName {
    std::string_view name;
    element::Type type;
};
constexpr std::array foreign_names{
    ForeignName{"float16", element::f16},  ForeignName{"bfloat16", element::bf16},
    ForeignName{"float32", element::f32},  ForeignName{"float64", element::f64},
    ForeignName{"int8", element::i8},      ForeignName{"int16", element::i16},
    ForeignName{"int32", element::i32},    ForeignName{"int64", element::i64},
    ForeignName{"uint8", element::u8},     ForeignName{"uint16", element::u16},
    ForeignName{"uint32", element::u32},   ForeignName{"uint64", element::u64},
    ForeignName{"bool", element::boolean},
};

element::Type element_type_from_name(const std::string& argument, const std::string& name) {
    const auto* const found = std::ranges::find(foreign_names, name, &ForeignName::name);
    return found != foreign_names.end()
               ? found->type
               : named(argument, [&] { return element::Type::parse(name); });
}

/// JAX's types are classes that have a dtype; null for other objects.
py::object dtype_of_class(py::handle object) {
    const py::object dtype =
        py::isinstance<py::type>(object) ? find_attribute(object, "dtype") : py::object();
    return dtype && py::isinstance<py::dtype>(dtype) ? dtype : py::object();
}

/// torch's dtypes are known by their text, "torch.float32"; empty for other objects.
std::string name_of_torch_dtype(py::handle object) {
    constexpr std::string_view prefix = "torch.";
    if (std::string_view(Py_TYPE(object.ptr())->tp_name) != "torch.dtype") {
        return {};
    }
    const std::string text = text_of(py::str(object));
    return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

element::Type element_type_from_dtype(const std::string& argument, const py::dtype& dtype) {
    const std::optional<element::Type> type = element_type_of(dtype);
    if (!type) {
        refuse_type(argument, "a dtype that an element type stands for", dtype);
    }
    if (has_foreign_byte_order(dtype)) {
        throw std::invalid_argument(argument + ": expected a dtype in native byte order, got " +
                                    describe(dtype));
    }
    return *type;
}

/// ml_dtypes' class is a type of its own to numpy, known by its name. Asking for a name takes
/// longer than a small kernel, so the number is remembered that numpy gives such a type for the
/// life of the process (from 256 on; types of numpy's newest kind have none and share -1).
bool is_bfloat16(const py::dtype& dtype) {
    constexpr int first_number = 256;
    static constinit std::atomic<int> seen_number{first_number - 1};
    if (dtype.num() == seen_number.load(std::memory_order_relaxed)) {
        return true;
    }
    const bool is_named =
        dtype.itemsize() == 2 && py::str(dtype.attr("name")).equal(py::str("bfloat16"));
    if (is_named && dtype.num() >= first_number) {
        seen_number.store(dtype.num(), std::memory_order_relaxed);
    }
    return is_named;
}

/// Importing what is imported already takes longer than a small kernel.
py::object import_ml_dtypes() {
    const py::str name("ml_dtypes");
    const auto module = py::reinterpret_steal<py::object>(PyImport_GetModule(name.ptr()));
    if (!module && PyErr_Occurred() != nullptr) {
        throw py::error_already_set();
    }
    return module && !module.is_none() ? module : py::module_::import("ml_dtypes");
}

py::dtype bfloat16_dtype() {
    try {
        return py::dtype::from_args(import_ml_dtypes().attr("bfloat16"));
    } catch (py::error_already_set& error) {
        raise_because_of(error, PyExc_ImportError,
                         "numpy arrays of bf16 need the package ml_dtypes: pip install ml_dtypes");
    }
}

}  // namespace

double epsilon_from_python(py::handle object) {
    return real_from_python("epsilon", "a finite number >= 0", object);
}

double upper_bound_from_python(py::handle object) {
    return real_from_python("upper_bound", "a finite number > 0 or None", object);
}

double number_from_python(const std::string& argument, py::handle object) {
    return real_from_python(argument, "a number", object);
}

double momentum_from_python(py::handle object) {
    return real_from_python("momentum", "a number from 0 to 1", object);
}

std::int64_t element_count_from_python(py::handle object) {
    const py::int_ integer = index_from_python("n", "an integer >= 1", object);
    const std::optional<std::int64_t> count = narrow(integer);
    if (!count) {
        throw std::invalid_argument("n: expected an integer from 1 to 2^63 - 1, got " +
                                    describe(integer));
    }
    return *count;
}

std::int64_t axis_from_python(const std::string& argument, py::handle object) {
    const py::int_ integer = index_from_python(argument, "an integer", object);
    const std::optional<std::int64_t> axis = narrow(integer);
    if (!axis) {
        throw std::invalid_argument(argument + ": expected an axis within the rank of input, got " +
                                    describe(integer));
    }
    return *axis;
}

std::int64_t channel_axis_from_python(py::handle object) {
    return axis_from_python("channel_axis", object);
}

std::int64_t num_threads_from_python(py::handle object) {
    if (!object || object.is_none()) {
        return kernel::get_num_threads();
    }
    const py::int_ integer = index_from_python("num_threads", "an integer >= 1", object);
    const std::optional<std::int64_t> count = narrow(integer);
    if (!count || *count < 1) {
        throw std::invalid_argument("num_threads: expected an integer >= 1, got " +
                                    describe(integer));
    }
    return *count;
}

const kernel::Implementation& implementation_from_python(py::handle object) {
    if (!object || object.is_none()) {
        return kernel::chosen_implementation();
    }
    if (!py::isinstance<py::str>(object)) {
        refuse_type("implementation", "a str or None", object);
    }
    return named("implementation", [&]() -> const kernel::Implementation& {
        return kernel::implementation(text_of(object));
    });
}

element::Type element_type_from_python(const std::string& argument, py::handle object) {
    if (is_instance<element::Type>(object)) {
        return object.cast<element::Type>();
    }
    if (py::isinstance<py::str>(object)) {
        return element_type_from_name(argument, text_of(object));
    }
    if (py::isinstance<py::dtype>(object) || is_numpy_scalar_class(object)) {
        return element_type_from_dtype(
            argument, py::dtype::from_args(py::reinterpret_borrow<py::object>(object)));
    }
    if (const py::object dtype = dtype_of_class(object)) {
        return element_type_from_dtype(argument, py::reinterpret_borrow<py::dtype>(dtype));
    }
    if (const std::string name = name_of_torch_dtype(object); !name.empty()) {
        return element_type_from_name(argument, name);
    }
    // float, int and bool say nothing of their width.
    refuse_type(argument, "an element type, a name such as 'f32' or a numpy dtype", object);
}

Dimension dimension_from_python(const std::string& argument, py::handle object) {
    if (is_instance<Dimension>(object)) {
        return object.cast<Dimension>();
    }
    if (object.is_none()) {
        return Dimension::dynamic();
    }
    if (py::isinstance<py::tuple>(object) || py::isinstance<py::list>(object)) {
        return interval_from_python(argument, object);
    }
    const std::int64_t length = length_from_python(argument, object);
    return named(argument, [&] { return Dimension(length); });
}

PartialShape partial_shape_from_python(const std::string& argument, py::handle object) {
    if (is_instance<PartialShape>(object)) {
        return object.cast<PartialShape>();
    }
    if (object.is_none()) {
        return PartialShape::dynamic();
    }
    std::vector<Dimension> dimensions;
    for (const py::handle item :
         sequence_from_python(argument, "a shape such as [None, 64], or None", object)) {
        dimensions.push_back(
            dimension_from_python(argument + "[" + std::to_string(dimensions.size()) + "]", item));
    }
    return PartialShape(std::move(dimensions));
}

std::string friendly_name_from_python(py::handle object) {
    if (object.is_none()) {
        return {};
    }
    if (!py::isinstance<py::str>(object)) {
        refuse_type("name", "a str or None", object);
    }
    std::string name = utf8_from_python("name", object);
    if (name.empty()) {
        throw std::invalid_argument("name: expected a str that is not empty, or None, got ''");
    }
    return name;
}

py::int_ index_from_python(const std::string& argument, const std::string& expected,
                           py::handle object) {
    if (PyBool_Check(object.ptr()) != 0 || PyIndex_Check(object.ptr()) == 0) {
        refuse_type(argument, expected, object);
    }
    auto integer = py::reinterpret_steal<py::int_>(PyNumber_Index(object.ptr()));
    if (!integer) {
        py::error_already_set error;
        raise_because_of(error, PyExc_TypeError,
                         argument + ": expected " + expected + ", got " + describe(object));
    }
    return integer;
}

std::string utf8_from_python(const std::string& argument, py::handle str) {
    const auto bytes =
        py::reinterpret_steal<py::bytes>(PyUnicode_AsEncodedString(str.ptr(), "utf-8", "strict"));
    if (!bytes) {
        py::error_already_set error;
        raise_because_of(error, PyExc_ValueError,
                         argument + ": expected a str that UTF-8 can encode, got " + describe(str));
    }
    return bytes;
}

std::int64_t integer_from_python(const std::string& argument, const std::string& expected,
                                 py::handle object) {
    const py::int_ integer = index_from_python(argument, expected, object);
    const std::optional<std::int64_t> value = narrow(integer);
    if (!value) {
        throw std::invalid_argument(argument + ": expected " + expected + ", got " +
                                    describe(integer));
    }
    return *value;
}

py::object to_python(const Dimension& dimension) {
    if (dimension.is_static()) {
        return py::int_(dimension.length());
    }
    if (dimension == Dimension::dynamic()) {
        return py::none();
    }
    const py::object high = dimension.has_upper_bound()
                                ? py::object(py::int_(dimension.max_length()))
                                : py::object(py::none());
    return py::make_tuple(dimension.min_length(), high);
}

py::object to_python(const PartialShape& shape) {
    if (!shape.has_static_rank()) {
        return py::none();
    }
    py::tuple dimensions(shape.size());
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        dimensions[axis] = to_python(shape[axis]);
    }
    return dimensions;
}

py::tuple sequence_from_python(const std::string& argument, const std::string& expected,
                               py::handle object) {
    if (PySequence_Check(object.ptr()) == 0) {
        refuse_type(argument, expected, object);
    }
    return items_from_python(argument, expected, object);
}

py::tuple items_from_python(const std::string& argument, const std::string& expected,
                            py::handle object) {
    // A node can be iterated, to unpack its outputs: where many are meant, one is a mistake.
    if (py::isinstance<py::str>(object) || py::isinstance<py::bytes>(object) ||
        is_instance<Node>(object)) {
        refuse_type(argument, expected, object);
    }
    auto items = py::reinterpret_steal<py::tuple>(PySequence_Tuple(object.ptr()));
    if (!items) {
        py::error_already_set error;
        if (!error.matches(PyExc_TypeError)) {
            throw error;  // of the iterable itself
        }
        raise_because_of(error, PyExc_TypeError,
                         argument + ": expected " + expected + ", got " + describe(object));
    }
    return items;
}

std::optional<element::Type> integer_type(std::size_t size, bool is_signed) {
    switch (size) {
        case 1:
            return is_signed ? element::i8 : element::u8;
        case 2:
            return is_signed ? element::i16 : element::u16;
        case 4:
            return is_signed ? element::i32 : element::u32;
        case 8:
            return is_signed ? element::i64 : element::u64;
        default:
            return std::nullopt;
    }
}

std::optional<element::Type> floating_point_type(std::size_t size) {
    switch (size) {
        case 2:
            return element::f16;
        case 4:
            return element::f32;
        case 8:
            return element::f64;
        default:
            return std::nullopt;
    }
}

std::optional<element::Type> element_type_of(const py::dtype& dtype) {
    switch (dtype.num()) {  // what nearly every array has, told by one number
        case py::detail::npy_api::NPY_FLOAT_:
            return element::f32;
        case py::detail::npy_api::NPY_DOUBLE_:
            return element::f64;
        default:
            break;
    }
    const auto size = static_cast<std::size_t>(dtype.itemsize());
    switch (dtype.kind()) {
        case 'f':
            return floating_point_type(size);
        case 'i':
            return integer_type(size, true);
        case 'u':
            return integer_type(size, false);
        case 'b':
            return element::boolean;
        default:
            return is_bfloat16(dtype) ? std::optional(element::bf16) : std::nullopt;
    }
}

bool has_foreign_byte_order(const py::dtype& dtype) {
    constexpr char foreign = std::endian::native == std::endian::little ? '>' : '<';
    return dtype.byteorder() == foreign;
}

std::string numpy_name(element::Type type) {
    return std::string(std::ranges::find(foreign_names, type, &ForeignName::type)->name);
}

py::dtype numpy_dtype(element::Type type) {
    switch (type.kind()) {
        case element::Type::Kind::boolean:
            return py::dtype("?");
        case element::Type::Kind::bf16:
            return bfloat16_dtype();
        case element::Type::Kind::dynamic:
            throw std::invalid_argument("no numpy dtype stores elements of the dynamic type");
        case element::Type::Kind::f32:  // these two without a text to parse: every call makes some
            return py::dtype::of<float>();
        case element::Type::Kind::f64:
            return py::dtype::of<double>();
        default:
            // numpy counts bytes where the names here count bits: i32 is "i4".
            return py::dtype(std::string(1, type.name()[0]) + std::to_string(type.size()));
    }
}

}  // namespace normgraph::binding
