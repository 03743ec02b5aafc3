#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "binding/dlpack.hpp"
#include "normgraph/runtime/array.hpp"

namespace normgraph::binding {

/// A Python array, borrowed without a copy for the time of a call: a numpy array, or any object
/// with DLPack (`__dlpack__`) or the buffer protocol, in any strides.
class ArrayArgument {
public:
    /// `name` begins the error messages: "gamma", "out[0] (input_delta)".
    ///
    /// Raises TypeError for what is no array (lists and None included), for complex and other
    /// element types that no `element::Type` names, for masked arrays; ValueError for foreign byte
    /// order, memory that is not the CPU's, and arrays that refuse to lend their memory.
    ArrayArgument(const std::string& name, pybind11::handle object);
    ArrayArgument(const ArrayArgument&) = delete;
    ArrayArgument& operator=(const ArrayArgument&) = delete;

    /// Refers to this object, which must stay alive.
    runtime::Array view() const;

private:
    static constexpr std::size_t max_rank = 64;  // numpy's limit

    void borrow_numpy(const std::string& name, const pybind11::array& array);
    void borrow_buffer(const std::string& name, pybind11::handle object);
    void borrow_dlpack(const std::string& name, pybind11::handle object);
    void take_capsule(const std::string& name, const pybind11::object& capsule);
    void set_dlpack_tensor(const std::string& name, const dlpack::Tensor& tensor);
    void set_rank(const std::string& name, std::int64_t rank);

    element::Type element_type_;
    std::byte* address_ = nullptr;
    bool is_writable_ = false;
    std::size_t rank_ = 0;
    std::array<std::int64_t, max_rank> shape_;
    std::array<std::int64_t, max_rank> strides_;
    pybind11::object owner_;
    std::shared_ptr<void> loan_;  // of memory borrowed through DLPack
};

/// A new array of this type and shape; axes lie in memory in the order of the strides of `like`,
/// which has the same rank.
pybind11::array new_array(const TensorType& type, const runtime::Array& like);

/// A new vector or other dense row-major array of this static type and shape.
pybind11::array new_array(const TensorType& type);

/// Whether two arrays have a byte in common, exactly; true also where that is too hard to tell.
bool share_memory(const runtime::Array& left, const runtime::Array& right);

}  // namespace normgraph::binding
