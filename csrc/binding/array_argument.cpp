#include "binding/array_argument.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>

#include "binding/conversion.hpp"

namespace py = pybind11;

namespace normgraph::binding {
namespace {

std::string type_name_of(py::handle object) {
    return py::str(py::type::handle_of(object).attr("__name__")).cast<std::string>();
}

[[noreturn]] void refuse_element_type(const ArgumentName& name, const std::string& came) {
    const std::string expected = name.name == "mask" ? "u8" : "f16, bf16, f32 or f64";
    throw py::type_error(name.text() + ": expected an array of " + expected + ", got " + came);
}

std::optional<element::Type> element_type_of(const dlpack::DataType& type) {
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

/// `device` is what `__dlpack_device__` returned: (device type, device number).
void check_device(const ArgumentName& name, py::handle device) {
    const bool is_pair = py::isinstance<py::tuple>(device) && py::len(device) == 2;
    const py::object type = is_pair ? py::object(device[py::int_(0)]) : py::none();
    if (PyIndex_Check(type.ptr()) == 0) {
        throw py::type_error(name.text() +
                             ": expected (device type, number) from __dlpack_device__, got " +
                             describe(device));
    }
    const auto number = py::int_(type).cast<std::int64_t>();
    if (number != dlpack::device_cpu && number != dlpack::device_cuda_host &&
        number != dlpack::device_rocm_host) {
        throw std::invalid_argument(name.text() +
                                    ": expected an array in CPU memory, got DLPack device type " +
                                    std::to_string(number));
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
    } else if (py::hasattr(object, "__dlpack__") && !py::isinstance<py::type>(object)) {
        borrow_dlpack(name, object);
    } else if (PyObject_CheckBuffer(object.ptr()) != 0) {
        borrow_buffer(name, object);
    } else {
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
        refuse_element_type(name, "numpy " + py::repr(dtype).cast<std::string>());
    }
    if (has_foreign_byte_order(dtype)) {
        throw std::invalid_argument(name.text() + ": expected native byte order, got numpy " +
                                    py::repr(dtype).cast<std::string>());
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
        py::raise_from(
            error, PyExc_TypeError,
            (name.text() + ": expected a buffer that numpy can read, got an object of type " +
             type_name_of(object))
                .c_str());
        throw py::error_already_set();
    }
    borrow_numpy(name, py::reinterpret_borrow<py::array>(array));
}

void ArrayArgument::borrow_dlpack(const ArgumentName& name, py::handle object) {
    py::object capsule;
    try {
        check_device(name, object.attr("__dlpack_device__")());
        capsule = call_dlpack(object);
    } catch (py::error_already_set& error) {
        py::raise_from(
            error, PyExc_ValueError,
            (name.text() + ": expected an array that lends its memory through DLPack, got from " +
             type_name_of(object) + ": " + py::str(error.value()).cast<std::string>())
                .c_str());
        throw py::error_already_set();
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
    const auto type = element_type_of(tensor.type);
    if (!type) {
        refuse_element_type(name, "DLPack type code " +
                                      std::to_string(static_cast<int>(tensor.type.code)) + " of " +
                                      std::to_string(tensor.type.bits) + " bits");
    }
    element_type_ = *type;
    set_rank(name, tensor.rank);
    const auto size = static_cast<std::int64_t>(element_type_.size());
    std::int64_t dense_stride = size;
    for (std::size_t axis = rank_; axis-- > 0;) {
        shape()[axis] = tensor.shape[axis];
        strides()[axis] = tensor.strides == nullptr ? dense_stride : tensor.strides[axis] * size;
        dense_stride *= tensor.shape[axis];
    }
    address_ = static_cast<std::byte*>(tensor.data) + tensor.byte_offset;
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
        return py::array(py::dtype("V" + std::to_string(array.element_type.size())), array.shape,
                         array.strides, array.address, py::none());
    };
    constexpr int steps_before_giving_up = 1'000'000;
    try {
        return py::module_::import("numpy")
            .attr("shares_memory")(as_numpy(left), as_numpy(right), steps_before_giving_up)
            .cast<bool>();
    } catch (py::error_already_set&) {
        return true;
    }
}

}  // namespace normgraph::binding
