#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "binding/torch/stable_functions.hpp"
#include "normgraph/ir/element_type.hpp"
#include "normgraph/ir/tensor_type.hpp"
#include "normgraph/runtime/array.hpp"

/// torch's tensors as arrays, and new ones.
namespace normgraph::binding::torch {

/// A reference to a tensor of torch.
class Tensor {
public:
    Tensor() = default;
    /// Takes the reference over.
    explicit Tensor(TensorObject* object) : object_(object) {}

    bool is_defined() const { return object_ != nullptr; }
    TensorObject* object() const { return object_.get(); }
    /// As a result of an operator, which takes the reference over.
    StableValue release() { return reinterpret_cast<StableValue>(object_.release()); }

private:
    struct Delete {
        void operator()(TensorObject* object) const {
            stable_functions().delete_tensor_object(object);
        }
    };
    std::unique_ptr<TensorObject, Delete> object_;
};

/// A tensor's memory as an array, which the tensor must outlive.
class TensorView {
public:
    /// Throws std::invalid_argument, which begins with `name`, for a tensor of another device than
    /// the processor, of an element type that normgraph has not, or of a rank beyond 64.
    void set(std::string_view name, const Tensor& tensor);

    const runtime::Array& array() const { return array_; }

    /// Lets this axis be the last one, the others in their order.
    void move_to_end(std::size_t axis);

    /// Lets this be what the memory holds from its beginning on, in C order, in place of one axis
    /// of as many elements or more.
    void set_shape(std::span<const std::int64_t> shape);

private:
    static constexpr std::size_t max_rank = 64;

    runtime::Array array_;
    std::array<std::int64_t, max_rank> shape_;
    std::array<std::int64_t, max_rank> strides_;  ///< in bytes
};

/// A new tensor of the shape of `like` and of its element type, in memory as torch.empty_like lays
/// it out; that of 8 MiB or more comes from the memory pool of the process.
Tensor new_tensor_like(const Tensor& like, element::Type type);

/// A new tensor of a static type, in C order.
Tensor new_tensor(const TensorType& type);

/// A new tensor of this type and no elements, of the shape (0).
Tensor new_empty_tensor(element::Type type);

}  // namespace normgraph::binding::torch
