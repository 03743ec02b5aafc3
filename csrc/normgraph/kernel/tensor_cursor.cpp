#include "normgraph/kernel/tensor_cursor.hpp"

#include <algorithm>
#include <cstring>

namespace normgraph::kernel {
namespace {

/// Calls `function.template operator()<size>()`, so that copies of one element need no loop.
template <typename Function>
void with_size(std::size_t size, const Function& function) {
    switch (size) {
        case 1:
            return function.template operator()<1>();
        case 2:
            return function.template operator()<2>();
        case 4:
            return function.template operator()<4>();
        default:
            return function.template operator()<8>();
    }
}

template <std::size_t size>
void gather_run(const std::byte* source, std::int64_t stride, std::int64_t count,
                std::byte* target) {
    constexpr auto step = static_cast<std::int64_t>(size);
    if (stride == step) {
        std::memcpy(target, source, static_cast<std::size_t>(count) * size);
        return;
    }
    if (stride == 0) {
        std::byte element[size];
        std::memcpy(element, source, size);
        for (std::int64_t index = 0; index < count; ++index) {
            std::memcpy(target + index * step, element, size);
        }
        return;
    }
    for (std::int64_t index = 0; index < count; ++index) {
        std::memcpy(target + index * step, source + index * stride, size);
    }
}

template <std::size_t size>
void scatter_run(std::byte* target, std::int64_t stride, std::int64_t count,
                 const std::byte* source) {
    constexpr auto step = static_cast<std::int64_t>(size);
    if (stride == step) {
        std::memcpy(target, source, static_cast<std::size_t>(count) * size);
        return;
    }
    for (std::int64_t index = 0; index < count; ++index) {
        std::memcpy(target + index * stride, source + index * step, size);
    }
}

}  // namespace

void gather(TensorCursor& cursor, const std::byte* tensor, std::size_t size, std::int64_t count,
            std::byte* target) {
    with_size(size, [&]<std::size_t element_size>() {
        while (count > 0) {
            const std::int64_t run = std::min(count, cursor.run());
            gather_run<element_size>(tensor + cursor.offset(), cursor.stride(), run, target);
            cursor.advance(run);
            target += run * static_cast<std::int64_t>(element_size);
            count -= run;
        }
    });
}

void scatter(TensorCursor& cursor, std::byte* tensor, std::size_t size, std::int64_t count,
             const std::byte* source) {
    with_size(size, [&]<std::size_t element_size>() {
        while (count > 0) {
            const std::int64_t run = std::min(count, cursor.run());
            scatter_run<element_size>(tensor + cursor.offset(), cursor.stride(), run, source);
            cursor.advance(run);
            source += run * static_cast<std::int64_t>(element_size);
            count -= run;
        }
    });
}

}  // namespace normgraph::kernel
