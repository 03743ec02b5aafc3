#include "binding/new_array.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "binding/array_argument.hpp"
#include "binding/conversion.hpp"
#include "normgraph/runtime/memory_pool.hpp"

namespace py = pybind11;

namespace normgraph::binding {

/// CPython's own header (until 3.13 at least) does not say that these have C linkage.
namespace with_c_linkage {
extern "C" {
// NOLINTBEGIN(readability-identifier-naming): the names are CPython's
int PyTraceMalloc_Track(unsigned int domain, std::uintptr_t address, std::size_t size);
int PyTraceMalloc_Untrack(unsigned int domain, std::uintptr_t address);
// NOLINTEND(readability-identifier-naming)
}
}  // namespace with_c_linkage

namespace {

/// An axis with one element, or broadcast along one, may lie anywhere in memory.
bool has_a_place(const runtime::Array& array, std::size_t axis) {
    return array.shape[axis] > 1 && array.strides[axis] != 0;
}

/// Axes by growing stride. Those without a place of their own keep their logical one: an insertion
/// sort passes over them, which no ordinary comparison sort could.
std::vector<std::size_t> axes_innermost_first(const runtime::Array& array) {
    std::vector<std::size_t> axes(array.shape.size());
    std::iota(axes.rbegin(), axes.rend(), std::size_t{0});
    for (std::size_t sorted = 1; sorted < axes.size(); ++sorted) {
        std::size_t moving = sorted;
        for (std::size_t below = sorted; below-- > 0 && has_a_place(array, axes[moving]);) {
            if (!has_a_place(array, axes[below])) {
                continue;
            }
            if (std::abs(array.strides[axes[below]]) <= std::abs(array.strides[axes[moving]])) {
                break;
            }
            std::swap(axes[below], axes[moving]);
            moving = below;
        }
    }
    return axes;
}

std::vector<py::ssize_t> dense_strides_like(const runtime::Array& like) {
    std::vector<py::ssize_t> strides(like.shape.size());
    auto stride = static_cast<py::ssize_t>(like.element_type.size());
    for (const std::size_t axis : axes_innermost_first(like)) {
        strides[axis] = stride;
        stride *= std::max<py::ssize_t>(like.shape[axis], 1);
    }
    return strides;
}

/// Whether the axes lie in memory in their order, the last one innermost, as numpy's do by default.
bool is_row_major(const runtime::Array& array) {
    std::int64_t inner_stride = 1;
    for (std::size_t axis = array.shape.size(); axis-- > 0;) {
        if (array.shape[axis] == 1) {
            continue;
        }
        if (array.strides[axis] < inner_stride) {
            return false;
        }
        inner_stride = array.strides[axis];
    }
    return true;
}

constexpr std::size_t cache_line_size = 64;

/// From so many bytes on, memory comes from the pool: to have fresh pages from the system, as the C
/// library does for each large array, takes as long as the kernel that fills them.
constexpr std::size_t smallest_pooled = std::size_t{1024} * 1024;

/// Whether the array takes so many bytes that what aligning it costs does not show.
bool is_large(element::Type type, std::span<const std::int64_t> shape) {
    constexpr std::int64_t limit = 65536;
    auto size = static_cast<std::int64_t>(type.size());
    for (const std::int64_t length : shape) {
        if (length == 0) {
            return false;
        }
        size = std::min(limit, size * std::min(length, limit));
    }
    return size >= limit;
}

/// The array has elements.
std::int64_t element_count(std::span<const std::int64_t> shape) {
    return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

/// numpy aligns data to 16 bytes, but stores that go around the caches write whole lines. So the
/// memory is a vector that is one line longer. It has the same type, for numpy's error to tell what
/// could not be allocated. Without strides it is row-major.
py::array new_aligned_array(element::Type type, std::span<const std::int64_t> shape,
                            std::vector<py::ssize_t> strides) {
    const py::dtype dtype = numpy_dtype(type);
    const auto line = static_cast<py::ssize_t>(cache_line_size / type.size());
    py::array memory(dtype, element_count(shape) + line);
    void* data = memory.mutable_data();
    auto space = static_cast<std::size_t>(memory.nbytes());
    std::align(cache_line_size, space - cache_line_size, data, space);
    return py::array(dtype, shape, std::move(strides), data, memory);
}

/// The domain in which tracemalloc counts the data of numpy's arrays.
constexpr unsigned int domain_of_numpy = 389047;

/// The object that owns the memory of an array, and of all its views and exports: when the last of
/// them goes, the block goes back to the pool.
///
/// numpy's own way (NEP 49: the array owns its data, which a handler of ours allocates) would have
/// such a handler set in the thread's context while an array is made. Python code that runs
/// meanwhile would allocate from the pool as well; and to reset it afterwards takes memory, so that
/// it may fail.
py::capsule owner_of(runtime::MemoryPool::Block block, std::size_t size) {
    using Block = runtime::MemoryPool::Block;
    const auto address = reinterpret_cast<std::uintptr_t>(block.get());
    auto owned = std::make_unique<Block>(std::move(block));
    py::capsule owner(owned.get(), "normgraph.memory", [](void* object) {
        const std::unique_ptr<Block> ending(static_cast<Block*>(object));
        with_c_linkage::PyTraceMalloc_Untrack(domain_of_numpy,
                                              reinterpret_cast<std::uintptr_t>(ending->get()));
    });
    [[maybe_unused]] const Block* const owned_by_the_capsule = owned.release();
    with_c_linkage::PyTraceMalloc_Track(domain_of_numpy, address, size);
    return owner;
}

/// Where the pool has nothing to give, numpy allocates, or says how much memory is missing.
py::array new_large_array(element::Type type, std::span<const std::int64_t> shape,
                          std::vector<py::ssize_t> strides) {
    const std::size_t size = static_cast<std::size_t>(element_count(shape)) * type.size();
    runtime::MemoryPool::Block block;
    if (size >= smallest_pooled) {
        block = runtime::process_memory_pool().take(size);
    }
    if (!block) {
        return new_aligned_array(type, shape, std::move(strides));
    }
    const void* const data = block.get();
    const py::capsule owner = owner_of(std::move(block), size);
    return py::array(numpy_dtype(type), shape, std::move(strides), data, owner);
}

/// Row-major. Calls numpy's function itself, since pybind11's constructor takes two vectors, which
/// cost as much as a small array does.
py::array new_row_major_array(element::Type type, std::span<const std::int64_t> shape) {
    std::array<Py_intptr_t, max_rank> lengths;
    std::ranges::copy(shape, lengths.begin());
    const py::detail::npy_api& numpy = py::detail::npy_api::get();
    PyObject* const array = numpy.PyArray_NewFromDescr_(
        numpy.PyArray_Type_, numpy_dtype(type).release().ptr(), static_cast<int>(shape.size()),
        lengths.data(), nullptr, nullptr, 0, nullptr);
    if (array == nullptr) {
        throw py::error_already_set();
    }
    return py::reinterpret_steal<py::array>(array);
}

}  // namespace

py::array new_array_like(const runtime::Array& like) {
    const element::Type type = like.element_type;
    if (is_large(type, like.shape)) {
        return new_large_array(type, like.shape, dense_strides_like(like));
    }
    return is_row_major(like) ? new_row_major_array(type, like.shape)
                              : py::array(numpy_dtype(type), like.shape, dense_strides_like(like));
}

py::array new_array(const TensorType& type) {
    const std::vector<Dimension>& dimensions = type.partial_shape.dimensions();
    std::array<std::int64_t, max_rank> lengths;
    std::ranges::transform(dimensions, lengths.begin(), &Dimension::length);
    const auto shape = std::span<const std::int64_t>(lengths).first(dimensions.size());
    return is_large(type.element_type, shape) ? new_large_array(type.element_type, shape, {})
                                              : new_row_major_array(type.element_type, shape);
}

}  // namespace normgraph::binding
