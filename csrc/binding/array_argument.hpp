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
#include "normgraph/op/signature.hpp"
#include "normgraph/runtime/array.hpp"

namespace normgraph::binding {

/// How error messages name an argument: "gamma", or "out[0] (input_delta)". Made into text only
/// where there is an error.
struct ArgumentName {
    std::string_view name;
    std::optional<std::size_t> index_in_out = std::nullopt;
    op::Role role = op::Role::tensor;
    std::string_view element_types = {};  ///< that are expected; empty: what the role tells

    std::string text() const;
};

inline constexpr std::size_t max_rank = 64;  ///< numpy's limit

/// A Python array, borrowed without a copy for the time of a call: a numpy array, or any object
/// with DLPack (`__dlpack__`) or the buffer protocol, in any strides.
class ArrayArgument {
public:
    /// Borrows nothing, and has no view.
    ArrayArgument() = default;
    ArrayArgument(const ArrayArgument&) = delete;
    ArrayArgument& operator=(const ArrayArgument&) = delete;

    /// Once at most. Raises TypeError for what is no array (lists and None included), for complex
    /// and other element types that no `element::Type` names, for masked arrays; ValueError for
    /// foreign byte order, memory that is not the CPU's, and arrays that refuse to lend their
    /// memory.
    void borrow(const ArgumentName& name, pybind11::handle object);

    /// Once at most: a plain, writable numpy array of this element type, which needs no check.
    void borrow_new(element::Type type, const pybind11::array& array);

    /// Refers to this object, which must stay alive.
    runtime::Array view() const {
        runtime::Array array;
        set_view(array);
        return array;
    }
    /// The same without the copy of a view. (Member by member, since a processor waits for what it
    /// copies in larger pieces than it was written in.)
    void set_view(runtime::Array& array) const {
        const std::int64_t* const shape = shape_and_strides_.data();
        array.element_type = element_type_;
        array.shape = {shape, rank_};
        array.strides = {shape + rank_, rank_};
        array.address = address_;
        array.is_writable = is_writable_;
    }

private:
    void borrow_numpy(const ArgumentName& name, const pybind11::array& array);
    void borrow_buffer(const ArgumentName& name, pybind11::handle object);
    void borrow_dlpack(const ArgumentName& name, pybind11::handle object);
    void take_capsule(const ArgumentName& name, const pybind11::object& capsule);
    void set_dlpack_tensor(const ArgumentName& name, const dlpack::Tensor& tensor);
    void copy_lengths(const ArgumentName& name, const dlpack::Tensor& tensor);
    void copy_strides(const ArgumentName& name, const dlpack::Tensor& tensor);
    void set_numpy_array(element::Type type, const pybind11::array& array);
    std::int64_t* shape() { return shape_and_strides_.data(); }
    std::int64_t* strides() { return shape_and_strides_.data() + rank_; }
    void set_rank(const ArgumentName& name, std::int64_t rank);

    element::Type element_type_;
    std::byte* address_ = nullptr;
    bool is_writable_ = false;
    std::size_t rank_ = 0;
    pybind11::object owner_;
    std::shared_ptr<void> loan_;  // of memory borrowed through DLPack
    /// The lengths, right behind them the strides in bytes; the rest is not set.
    std::array<std::int64_t, 2 * max_rank> shape_and_strides_;
};

/// runtime::check_output, its error with the argument's name in front.
void check_output(const ArgumentName& name, const runtime::Array& array, const TensorType& type);

/// Whether two arrays have a byte in common, exactly; true also where that is too hard to tell.
bool share_memory(const runtime::Array& left, const runtime::Array& right);

}  // namespace normgraph::binding
