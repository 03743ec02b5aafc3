#include "binding/array_argument.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "binding/conversion.hpp"
#include "binding/python_errors.hpp"

namespace py = pybind11;

namespace normgraph::binding {
namespace {

[[noreturn]] void refuse_element_type(const ArgumentName& name, const std::string& came) {
    const std::string_view of_role = name.role == op::Role::mask ? "u8" : "f16, bf16, f32 or f64";
    const std::string expected(name.element_types.empty() ? of_role : name.element_types);
    throw py::type_error(name.text() + ": expected an array of " + expected + ", got " + came);
}

constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();

/// nullopt where 64 bits do not hold it; `right` is not negative.
std::optional<std::int64_t> product(std::optional<std::int64_t> left, std::int64_t right) {
    const bool fits =
        left && *left >= -largest && (right == 0 || std::abs(*left) <= largest / right);
    return fits ? std::optional(*left * right) : std::nullopt;
}

std::optional<element::Type> element_type_in_dlpack(const dlpack::DataType& type) {
    if (type.lanes != 1 || type.bits % 8 != 0) {
        return std::nullopt;
    }
    const std::size_t size = type.bits / 8U;
    switch (type.code) {
        case dlpack::TypeCode::floating_point:
            return floating_point_type(size);
        case dlpack::TypeCode::signed_integer:
            return integer_type(size, true);
        case dlpack::TypeCode::unsigned_integer:
            return integer_type(size, false);
        case dlpack::TypeCode::bfloat:
            return size == 2 ? std::optional(element::bf16) : std::nullopt;
        case dlpack::TypeCode::boolean:
            return size == 1 ? std::optional(element::boolean) : std::nullopt;
        default:
            return std::nullopt;
    }
}

bool is_masked(py::handle array) {
    const bool is_plain = Py_TYPE(array.ptr()) == py::detail::npy_api::get().PyArray_Type_;
    return !is_plain && py::isinstance(array, py::module_::import("numpy.ma").attr("MaskedArray"));
}

void check_device_type(const ArgumentName& name, std::int64_t type) {
    if (type != dlpack::device_cpu && type != dlpack::device_cuda_host &&
        type != dlpack::device_rocm_host) {
        throw std::invalid_argument(name.text() +
                                    ": expected an array in CPU memory, got DLPack device type " +
                                    std::to_string(type));
    }
}

/// `device` is what `__dlpack_device__` returned: (device type, device number).
void check_device(const ArgumentName& name, py::handle device) {
    const bool is_pair = py::isinstance<py::tuple>(device) && py::len(device) == 2;
    const py::object type = is_pair ? py::object(device[py::int_(0)]) : py::none();
    if (PyIndex_Check(type.ptr()) == 0) {
        throw py::type_error(name.text() +
                             ": expected (device type, number) from __dlpack_device__, got " +
                             describe(device));
    }
    check_device_type(name, integer_from_python(name.text() + ": __dlpack_device__()",
                                                "an integer device type of DLPack", type));
}

/// A refusal of what DLPack's interface cannot tell of, but torch's methods can: tensors whose
/// elements are the negatives, or the conjugates, of what memory holds.
void check_is_as_stored(const ArgumentName& name, py::handle object) {
    for (const auto& [question, cure] :
         {std::pair("is_neg", "resolve_neg()"), std::pair("is_conj", "resolve_conj()")}) {
        const py::object ask = find_attribute(object, question);
        if (ask && PyCallable_Check(ask.ptr()) != 0 && ask().is(py::handle(Py_True))) {
            throw std::invalid_argument(name.text() +
                                        ": expected a tensor whose memory holds its elements, got "
                                        "one for which " +
                                        question + "() is True: call its " + cure + " first");
        }
    }
}

/// A refusal of a value that JAX traces, which has no memory. Asked only where something else has
/// failed, since it takes longer than a small call.
void check_is_not_traced(const ArgumentName& name, py::handle object) {
    const py::object jax = py::module_::import("sys").attr("modules").attr("get")("jax");
    if (jax.is_none() || !find_attribute(jax, "core")) {
        return;
    }
    const py::object tracer = find_attribute(jax.attr("core"), "Tracer");
    if (tracer && py::isinstance(object, tracer)) {
        throw py::type_error(name.text() + ": expected an array, got a tracer of JAX (" +
                             type_name_of(object) +
                             "): within jit, grad and vmap call the functions of normgraph.jax");
    }
}

/// Objects of DLPack's older form take no arguments.
py::object call_dlpack(py::handle object) {
    try {
        return object.attr("__dlpack__")(py::arg("max_version") =
                                             py::make_tuple(dlpack::major_version, 0));
    } catch (py::error_already_set& error) {
        if (!error.matches(PyExc_TypeError)) {
            throw;
        }
    }
    return object.attr("__dlpack__")();
}

/// Gives the lent memory back when the last copy goes.
template <typename Managed>
std::shared_ptr<void> loan_of(Managed* managed) {
    return {managed, [](Managed* lent) {
                if (lent->deleter != nullptr) {
                    lent->deleter(lent);
                }
            }};
}

}  // namespace

std::string ArgumentName::text() const {
    return index_in_out ? "out[" + std::to_string(*index_in_out) + "] (" + std::string(name) + ")"
                        : std::string(name);
}

void ArrayArgument::borrow(const ArgumentName& name, py::handle object) {
    if (py::isinstance<py::array>(object)) {
        borrow_numpy(name, py::reinterpret_borrow<py::array>(object));
    } else if (!py::isinstance<py::type>(object) && find_attribute(object, "__dlpack__")) {
        borrow_dlpack(name, object);
    } else if (PyObject_CheckBuffer(object.ptr()) != 0) {
        borrow_buffer(name, object);
    } else {
        check_is_not_traced(name, object);
        throw py::type_error(
            name.text() + ": expected an array (numpy, DLPack or the buffer protocol), got " +
            (object.is_none() ? "None" : "an object of type " + type_name_of(object)));
    }
}

void ArrayArgument::borrow_new(element::Type type, const py::array& array) {
    set_numpy_array(type, array);
    is_writable_ = true;
}

void ArrayArgument::set_rank(const ArgumentName& name, std::int64_t rank) {
    if (rank < 0 || rank > static_cast<std::int64_t>(max_rank)) {
        throw std::invalid_argument(name.text() + ": expected an array of rank 0 to 64, got rank " +
                                    std::to_string(rank));
    }
    rank_ = static_cast<std::size_t>(rank);
}

void ArrayArgument::borrow_numpy(const ArgumentName& name, const py::array& array) {
    const py::dtype dtype = array.dtype();
    const auto type = element_type_of(dtype);
    if (!type) {
        refuse_element_type(name, "numpy " + text_of(py::repr(dtype)));
    }
    if (has_foreign_byte_order(dtype)) {
        throw std::invalid_argument(name.text() + ": expected native byte order, got numpy " +
                                    text_of(py::repr(dtype)));
    }
    if (is_masked(array)) {
        throw py::type_error(name.text() +
                             ": expected an array without a mask, got a masked array");
    }
    set_numpy_array(*type, array);
    is_writable_ = array.writeable();
}

void ArrayArgument::set_numpy_array(element::Type type, const py::array& array) {
    element_type_ = type;
    rank_ = static_cast<std::size_t>(array.ndim());
    std::copy_n(array.shape(), rank_, shape());
    std::copy_n(array.strides(), rank_, strides());
    // A read-only array is read only: is_writable_ guards the outputs.
    address_ = static_cast<std::byte*>(const_cast<void*>(array.data()));
    owner_ = array;
}

void ArrayArgument::borrow_buffer(const ArgumentName& name, py::handle object) {
    py::object array;
    try {
        array = py::module_::import("numpy").attr("asarray")(
            py::memoryview(py::reinterpret_borrow<py::object>(object)));
    } catch (py::error_already_set& error) {
        raise_because_of(error, PyExc_TypeError,
                         name.text() +
                             ": expected a buffer that numpy can read, got an object of type " +
                             type_name_of(object));
    }
    borrow_numpy(name, py::reinterpret_borrow<py::array>(array));
}

void ArrayArgument::borrow_dlpack(const ArgumentName& name, py::handle object) {
    py::object capsule;
    try {
        check_device(name, object.attr("__dlpack_device__")());
        check_is_as_stored(name, object);
        capsule = call_dlpack(object);
    } catch (py::error_already_set& error) {
        pass_on(error);
        check_is_not_traced(name, object);
        raise_because_of(error, PyExc_ValueError,
                         name.text() +
                             ": expected an array that lends its memory through DLPack, got from " +
                             type_name_of(object) + ": " + message_of(error));
    }
    take_capsule(name, capsule);
}

void ArrayArgument::take_capsule(const ArgumentName& name, const py::object& capsule) {
    if (PyCapsule_IsValid(capsule.ptr(), dlpack::versioned_capsule_name) != 0) {
        auto* const managed = static_cast<dlpack::ManagedTensorVersioned*>(
            PyCapsule_GetPointer(capsule.ptr(), dlpack::versioned_capsule_name));
        if (managed->version.major != dlpack::major_version) {
            throw std::invalid_argument(name.text() + ": expected DLPack version 1, got version " +
                                        std::to_string(managed->version.major));
        }
        PyCapsule_SetName(capsule.ptr(), dlpack::used_versioned_capsule_name);
        loan_ = loan_of(managed);
        is_writable_ = (managed->flags & dlpack::flag_read_only) == 0;
        set_dlpack_tensor(name, managed->tensor);
    } else if (PyCapsule_IsValid(capsule.ptr(), dlpack::capsule_name) != 0) {
        auto* const managed = static_cast<dlpack::ManagedTensor*>(
            PyCapsule_GetPointer(capsule.ptr(), dlpack::capsule_name));
        PyCapsule_SetName(capsule.ptr(), dlpack::used_capsule_name);
        loan_ = loan_of(managed);
        is_writable_ = false;  // this older form cannot say, and JAX lends immutable arrays by it
        set_dlpack_tensor(name, managed->tensor);
    } else {
        throw py::type_error(name.text() + ": expected a DLPack capsule from __dlpack__, got " +
                             describe(capsule));
    }
}

void ArrayArgument::set_dlpack_tensor(const ArgumentName& name, const dlpack::Tensor& tensor) {
    const auto type = element_type_in_dlpack(tensor.type);
    if (!type) {
        refuse_element_type(name, "DLPack type code " +
                                      std::to_string(static_cast<int>(tensor.type.code)) + " of " +
                                      std::to_string(tensor.type.bits) + " bits");
    }
    check_device_type(name, tensor.device.type);
    element_type_ = *type;
    set_rank(name, tensor.rank);
    copy_lengths(name, tensor);
    if (std::find(shape(), shape() + rank_, 0) != shape() + rank_) {
        std::fill_n(strides(), rank_, 0);  // there is nothing that they lead to
        address_ = static_cast<std::byte*>(tensor.data);
        return;
    }
    copy_strides(name, tensor);
    if (tensor.data == nullptr) {
        throw std::invalid_argument(name.text() +
                                    ": expected a DLPack tensor with memory, got a null pointer "
                                    "(a tensor that has a shape alone?)");
    }
    if (tensor.byte_offset > static_cast<std::uint64_t>(largest)) {
        throw std::invalid_argument(name.text() + ": expected a byte offset below 2^63, got " +
                                    std::to_string(tensor.byte_offset));
    }
    address_ = static_cast<std::byte*>(tensor.data) + tensor.byte_offset;
}

void ArrayArgument::copy_lengths(const ArgumentName& name, const dlpack::Tensor& tensor) {
    if (rank_ > 0 && tensor.shape == nullptr) {
        throw std::invalid_argument(name.text() +
                                    ": expected a DLPack tensor with a shape, got a null pointer");
    }
    for (std::size_t axis = 0; axis < rank_; ++axis) {
        shape()[axis] = tensor.shape[axis];
        if (shape()[axis] < 0) {
            throw std::invalid_argument(name.text() + ": expected lengths >= 0 from DLPack, got " +
                                        std::to_string(shape()[axis]) + " for axis " +
                                        std::to_string(axis));
        }
    }
}

/// In bytes; 0 where an axis has but one element. Refuses what 64-bit offsets do not reach.
void ArrayArgument::copy_strides(const ArgumentName& name, const dlpack::Tensor& tensor) {
    const auto size = static_cast<std::int64_t>(element_type_.size());
    std::optional<std::int64_t> dense_stride = size;
    std::int64_t reach = size;
    for (std::size_t axis = rank_; axis-- > 0;) {
        const std::int64_t length = shape()[axis];
        strides()[axis] = 0;
        if (length == 1) {
            continue;
        }
        const std::optional<std::int64_t> stride =
            tensor.strides == nullptr ? dense_stride : product(tensor.strides[axis], size);
        const std::optional<std::int64_t> extent = product(stride, length - 1);
        if (!extent || std::abs(*extent) > largest - reach) {
            throw std::invalid_argument(
                name.text() + ": expected a DLPack tensor within 2^63 bytes, got length " +
                std::to_string(length) + " and a larger stride for axis " + std::to_string(axis));
        }
        strides()[axis] = *stride;
        reach += std::abs(*extent);
        dense_stride = product(dense_stride, length);
    }
}

void check_output(const ArgumentName& name, const runtime::Array& array, const TensorType& type) {
    try {
        runtime::check_output(array, type);
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(name.text() + ": " + error.what());
    }
}

bool share_memory(const runtime::Array& left, const runtime::Array& right) {
    if (!runtime::ranges_overlap(left, right)) {
        return false;
    }
    const auto as_numpy = [](const runtime::Array& array) {
        const py::dtype type("V" + std::to_string(array.element_type.size()));
        // Any owner lets numpy take the memory as it is.
        return py::array(type, array.shape, array.strides, array.address, type);
    };
    constexpr int steps_before_giving_up = 1'000'000;
    try {
        return py::module_::import("numpy")
            .attr("shares_memory")(as_numpy(left), as_numpy(right), steps_before_giving_up)
            .cast<bool>();
    } catch (py::error_already_set& error) {
        // What else is raised here comes from handlers of signals, and means the program.
        const py::module_ numpy = py::module_::import("numpy");
        const py::object errors =
            py::hasattr(numpy, "exceptions") ? numpy.attr("exceptions") : py::object(numpy);
        if (error.matches(errors.attr("TooHardError")) || error.matches(PyExc_OverflowError)) {
            return true;
        }
        throw;
    }
}

}  // namespace normgraph::binding
