#include "binding/torch/tensor.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "normgraph/runtime/memory_pool.hpp"

namespace normgraph::binding::torch {
namespace {

/// The element types that operators know, and libtorch's numbers of them.
class ElementTypes {
public:
    static const ElementTypes& get() {
        static const ElementTypes types(stable_functions());
        return types;
    }
    std::optional<element::Type> type(std::int32_t dtype) const {
        const auto* const found = std::ranges::find(pairs_, dtype, &Pair::dtype);
        return found == pairs_.end() ? std::nullopt : std::optional(found->type);
    }
    std::int32_t dtype(element::Type type) const {
        return std::ranges::find(pairs_, type, &Pair::type)->dtype;
    }

private:
    struct Pair {
        element::Type type;
        std::int32_t dtype;
    };

    explicit ElementTypes(const StableFunctions& torch)
        : pairs_{Pair{element::f32, torch.dtype_float32()},
                 Pair{element::bf16, torch.dtype_bfloat16()},
                 Pair{element::f16, torch.dtype_float16()},
                 Pair{element::f64, torch.dtype_float64()},
                 Pair{element::u8, torch.dtype_uint8()}} {}

    std::array<Pair, 5> pairs_;
};

/// The CPU is one device, which has no number.
constexpr std::int32_t only_device = -1;

std::int32_t cpu() {
    static const std::int32_t device_type = stable_functions().device_type_cpu();
    return device_type;
}

/// Lengths and strides of a tensor, in elements.
struct Layout {
    std::span<const std::int64_t> sizes, strides;
};

Layout layout_of(const Tensor& tensor) {
    const StableFunctions& torch = stable_functions();
    std::int64_t rank = 0;
    std::int64_t* sizes = nullptr;
    std::int64_t* strides = nullptr;
    check_status(torch.get_dim(tensor.object(), &rank), "aoti_torch_get_dim");
    check_status(torch.get_sizes(tensor.object(), &sizes), "aoti_torch_get_sizes");
    check_status(torch.get_strides(tensor.object(), &strides), "aoti_torch_get_strides");
    const auto count = static_cast<std::size_t>(rank);
    return {{sizes, count}, {strides, count}};
}

/// Whether the elements fill their memory, in whatever order of the axes: then torch.empty_like
/// takes the same strides. (False for an empty tensor, of which it costs nothing to ask.)
bool is_dense(const Layout& layout) {
    std::array<std::size_t, 64> axes;
    std::size_t rank = 0;
    for (std::size_t axis = 0; axis < layout.sizes.size(); ++axis) {
        if (layout.sizes[axis] == 0) {
            return false;
        }
        if (layout.sizes[axis] > 1) {
            axes[rank++] = axis;
        }
    }
    const auto sorted = std::span(axes).first(rank);
    std::ranges::sort(sorted, {}, [&](std::size_t axis) { return layout.strides[axis]; });
    std::int64_t expected = 1;
    for (const std::size_t axis : sorted) {
        if (layout.strides[axis] != expected) {
            return false;
        }
        expected *= layout.sizes[axis];
    }
    return true;
}

/// The tensor with an operator's results in it: the first of the stack's values.
Tensor empty_like(const Tensor& like) {
    const StableFunctions& torch = stable_functions();
    TensorObject* argument = nullptr;
    check_status(torch.new_tensor_handle(like.object(), &argument), "aoti_torch_new_tensor_handle");
    // The tensor, and dtype, layout, device, pin_memory and memory_format left out.
    std::array<StableValue, 6> stack{reinterpret_cast<StableValue>(argument)};
    check_status(torch.call_dispatcher("aten::empty_like", "", stack.data(), interface_version),
                 "aten::empty_like");
    return Tensor(std::bit_cast<TensorObject*>(stack[0]));
}

Tensor empty_strided(const Layout& layout, element::Type type) {
    TensorObject* tensor = nullptr;
    check_status(stable_functions().empty_strided(static_cast<std::int64_t>(layout.sizes.size()),
                                                  layout.sizes.data(), layout.strides.data(),
                                                  ElementTypes::get().dtype(type), cpu(),
                                                  only_device, &tensor),
                 "aoti_torch_empty_strided");
    return Tensor(tensor);
}

/// The block goes back to the pool when torch's last reference to the memory goes.
Tensor tensor_of_block(runtime::MemoryPool::Block block, const Layout& layout, element::Type type) {
    using Block = runtime::MemoryPool::Block;
    const StableFunctions& torch = stable_functions();
    auto owned = std::make_unique<Block>(std::move(block));
    const auto give_back = [](void* /*data*/, void* context) {
        const std::unique_ptr<Block> ending(static_cast<Block*>(context));
    };
    TensorObject* tensor = nullptr;
    check_status(torch.from_blob(owned->get(), static_cast<std::int64_t>(layout.sizes.size()),
                                 layout.sizes.data(), layout.strides.data(), 0,
                                 ElementTypes::get().dtype(type), cpu(), only_device, &tensor,
                                 torch.layout_strided(), nullptr, 0, give_back, owned.get()),
                 "torch_from_blob");
    [[maybe_unused]] const Block* const owned_by_the_tensor = owned.release();
    return Tensor(tensor);
}

/// From so many bytes on, outputs come from the pool. Smaller ones, which the C library keeps when
/// they are freed, share memory with torch's own tensors so: in steps of MobileNetV2, ResNet-50 and
/// a speech encoder there were 0.5 to 1.15 times as many page faults as with a limit of 1 MiB.
constexpr std::size_t smallest_pooled = std::size_t{8} * 1024 * 1024;

std::size_t byte_count(const Layout& layout, element::Type type) {
    std::size_t count = type.size();
    for (const std::int64_t length : layout.sizes) {
        count *= static_cast<std::size_t>(length);
    }
    return count;
}

/// Dense; the lengths are those of memory that exists, so that they can be multiplied.
Tensor new_dense_tensor(const Layout& layout, element::Type type) {
    const std::size_t size = byte_count(layout, type);
    if (size >= smallest_pooled) {
        if (auto block = runtime::process_memory_pool().take(size)) {
            return tensor_of_block(std::move(block), layout, type);
        }
    }
    return empty_strided(layout, type);
}

}  // namespace

void TensorView::set(std::string_view name, const Tensor& tensor) {
    const StableFunctions& torch = stable_functions();
    const Layout layout = layout_of(tensor);
    std::int32_t dtype = 0;
    std::int32_t device_type = 0;
    void* data = nullptr;
    check_status(torch.get_dtype(tensor.object(), &dtype), "aoti_torch_get_dtype");
    check_status(torch.get_device_type(tensor.object(), &device_type),
                 "aoti_torch_get_device_type");
    check_status(torch.get_data_ptr(tensor.object(), &data), "aoti_torch_get_data_ptr");
    const std::optional<element::Type> type = ElementTypes::get().type(dtype);
    if (device_type != cpu()) {
        throw std::invalid_argument(std::string(name) +
                                    ": expected a tensor of the CPU, got one of another device");
    }
    if (!type) {
        throw std::invalid_argument(
            std::string(name) +
            ": expected a tensor of float16, bfloat16, float32, float64 or, for a mask, uint8");
    }
    if (layout.sizes.size() > max_rank) {
        throw std::invalid_argument(std::string(name) + ": expected at most " +
                                    std::to_string(max_rank) + " axes, got " +
                                    std::to_string(layout.sizes.size()));
    }
    const auto size = static_cast<std::int64_t>(type->size());
    std::ranges::copy(layout.sizes, shape_.begin());
    std::ranges::transform(layout.strides, strides_.begin(),
                           [size](std::int64_t stride) { return stride * size; });
    array_ = {.element_type = *type,
              .shape = std::span(shape_).first(layout.sizes.size()),
              .strides = std::span(strides_).first(layout.sizes.size()),
              .address = static_cast<std::byte*>(data),
              .is_writable = true};
}

void TensorView::move_to_end(std::size_t axis) {
    const auto rotate = [&](std::array<std::int64_t, max_rank>& lengths) {
        const auto from = lengths.begin() + static_cast<std::ptrdiff_t>(axis);
        std::rotate(from, from + 1,
                    lengths.begin() + static_cast<std::ptrdiff_t>(array_.shape.size()));
    };
    rotate(shape_);
    rotate(strides_);
}

void TensorView::set_shape(std::span<const std::int64_t> shape) {
    auto stride = static_cast<std::int64_t>(array_.element_type.size());
    for (std::size_t axis = shape.size(); axis-- > 0;) {
        shape_[axis] = shape[axis];
        strides_[axis] = stride;
        stride *= std::max<std::int64_t>(shape[axis], 1);
    }
    array_.shape = std::span(shape_).first(shape.size());
    array_.strides = std::span(strides_).first(shape.size());
}

Tensor new_tensor_like(const Tensor& like, element::Type type) {
    const Layout layout = layout_of(like);
    return is_dense(layout) ? new_dense_tensor(layout, type) : empty_like(like);
}

Tensor new_tensor(const TensorType& type) {
    const std::vector<Dimension>& dimensions = type.partial_shape.dimensions();
    std::array<std::int64_t, 64> sizes;
    std::array<std::int64_t, 64> strides;
    std::int64_t stride = 1;
    for (std::size_t axis = dimensions.size(); axis-- > 0;) {
        sizes[axis] = dimensions[axis].length();
        strides[axis] = stride;
        stride *= std::max<std::int64_t>(sizes[axis], 1);
    }
    return new_dense_tensor(
        {std::span(sizes).first(dimensions.size()), std::span(strides).first(dimensions.size())},
        type.element_type);
}

Tensor new_empty_tensor(element::Type type) {
    constexpr std::array<std::int64_t, 1> sizes{0};
    constexpr std::array<std::int64_t, 1> strides{1};
    return empty_strided({sizes, strides}, type);
}

}  // namespace normgraph::binding::torch
