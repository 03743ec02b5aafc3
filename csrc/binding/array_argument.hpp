#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "binding/dlpack.hpp"
#include "normgraph/runtime/array.hpp"

namespace normgraph::binding {

/// How error messages name an argument: "gamma", or "out[0] (input_delta)". Made into text only
/// where there is an error.
struct ArgumentName {
    std::string_view name;
    std::optional<std::size_t> index_in_out = std::nullopt;

    std::string text() const;
};

/// A Python array, borrowed without a copy for the time of a call: a numpy array, or any object
/// with DLPack (`__dlpack__`) or the buffer protocol, in any strides.
class ArrayArgument {
public:
    /// Raises TypeError for what is no array (lists and None included), for complex and other
    /// element types that no `element::Type` names, for masked arrays; ValueError for foreign byte
    /// order, memory that is not the CPU's, and arrays that refuse to lend their memory.
    ArrayArgument(const ArgumentName& name, pybind11::handle object);
    ArrayArgument(const ArrayArgument&) = delete;
    ArrayArgument& operator=(const ArrayArgument&) = delete;

    /// Refers to this object, which must stay alive.
    runtime::Array view() const;

private:
    static constexpr std::size_t max_rank = 64;  // numpy's limit

    void borrow_numpy(const ArgumentName& name, const pybind11::array& array);
    void borrow_buffer(const ArgumentName& name, pybind11::handle object);
    void borrow_dlpack(const ArgumentName& name, pybind11::handle object);
    void take_capsule(const ArgumentName& name, const pybind11::object& capsule);
    void set_dlpack_tensor(const ArgumentName& name, const dlpack::Tensor& tensor);
    void set_rank(const ArgumentName& name, std::int64_t rank);

    element::Type element_type_;
    std::byte* address_ = nullptr;
    bool is_writable_ = false;
    std::size_t rank_ = 0;
    std::array<std::int64_t, max_rank> shape_;
    std::array<std::int64_t, max_rank> strides_;
    pybind11::object owner_;
    std::shared_ptr<void> loan_;  // of memory borrowed through DLPack
};

/// A new array of the same element type and shape; its axes lie in memory in the order of the
/// strides of `like`.
pybind11::array new_array_like(const runtime::Array& like);

/// A new vector.
pybind11::array new_vector(element::Type type, std::int64_t length);

/// A new array in C order; the type and the shape are static.
pybind11::array new_array(const TensorType& type);

/// Whether two arrays have a byte in common, exactly; true also where that is too hard to tell.
bool share_memory(const runtime::Array& left, const runtime::Array& right);

}  // namespace normgraph::binding
