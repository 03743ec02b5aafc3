#include "normgraph/runtime/plan.hpp"

#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/kernel/threads/floating_point_environment.hpp"

namespace normgraph::runtime {
namespace {

Array array_of(const Buffer& buffer, std::span<const Array> arguments,
               std::span<const Array> results, std::byte* arena) {
    switch (buffer.home) {
        case Buffer::Home::argument:
            return arguments[buffer.index];
        case Buffer::Home::result:
            return results[buffer.index];
        case Buffer::Home::constant:
            // Constants are only read.
            return {buffer.element_type, buffer.shape, {}, const_cast<std::byte*>(buffer.constant)};
        default:
            return {buffer.element_type, buffer.shape, {}, arena + buffer.index, true};
    }
}

/// The stride in bytes of one axis of an array that lies in C order.
std::int64_t stride_in_order(const Buffer& buffer, std::size_t axis) {
    auto stride = static_cast<std::int64_t>(buffer.element_type.size());
    for (std::size_t inner = axis + 1; inner < buffer.shape.size(); ++inner) {
        stride *= buffer.shape[inner];
    }
    return stride;
}

}  // namespace

std::int64_t Buffer::byte_count() const {
    return kernel::product(shape) * static_cast<std::int64_t>(element_type.size());
}

bool View::is_whole(const Buffer& of) const {
    for (std::size_t axis = 0; axis < axes.size(); ++axis) {
        if (axes[axis] != static_cast<std::int64_t>(axis)) {
            return false;
        }
    }
    return axes.size() == of.shape.size();
}

Bindings::Bindings(const std::vector<Buffer>& buffers, const std::vector<View>& views,
                   std::span<const Array> arguments, std::span<const Array> results,
                   std::byte* arena) {
    std::size_t axis_count = 0;
    for (const View& view : views) {
        axis_count += view.axes.size();
    }
    strides_.resize(axis_count);
    arrays_.reserve(views.size());
    std::int64_t* strides = strides_.data();
    for (const View& view : views) {
        const Buffer& buffer = buffers[view.buffer];
        Array array = array_of(buffer, arguments, results, arena);
        for (std::size_t axis = 0; axis < view.axes.size(); ++axis) {
            const auto from = static_cast<std::size_t>(view.axes[axis]);
            strides[axis] = view.axes[axis] == View::repeated ? 0
                            : array.strides.empty()           ? stride_in_order(buffer, from)
                                                              : array.strides[from];
        }
        array.shape = view.shape;
        array.strides = {strides, view.axes.size()};
        strides += view.axes.size();
        arrays_.push_back(array);
    }
}

void Plan::run(std::span<const Array> arguments, std::span<const Array> results, std::byte* arena,
               std::int64_t num_threads, const kernel::Implementation& implementation) const {
    const kernel::DefaultFloatingPointEnvironment environment;
    const Bindings bindings(buffers, views, arguments, results, arena);
    for (const std::unique_ptr<Step>& step : steps) {
        step->check(bindings);
    }
    for (const std::unique_ptr<Step>& step : steps) {
        step->run(bindings, num_threads, implementation);
    }
}

}  // namespace normgraph::runtime
