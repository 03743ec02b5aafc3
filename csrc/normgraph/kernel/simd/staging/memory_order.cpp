#include "normgraph/kernel/simd/staging/memory_order.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "normgraph/kernel/relu_mask.hpp"

namespace normgraph::kernel::simd {
namespace {

/// Whether axes that follow each other lie so in memory. Those of length 1 do anywhere.
bool is_in_order(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides) {
    std::int64_t outer = std::numeric_limits<std::int64_t>::max();
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        if (shape[axis] != 1) {
            if (std::abs(strides[axis]) > outer) {
                return false;
            }
            outer = std::abs(strides[axis]);
        }
    }
    return true;
}

/// The distances of a mask's bits along the axes of a problem, in bits.
std::vector<std::int64_t> bit_strides(const Problem& problem) {
    const ReluMaskLayout layout(problem);
    const auto channel_axis = static_cast<std::size_t>(problem.channel_axis);
    std::vector<std::int64_t> strides(problem.shape.size());
    std::int64_t stride = 1;
    for (std::size_t axis = strides.size(); axis-- > 0;) {
        strides[axis] = stride;
        stride *= problem.shape[axis];
        if (axis == channel_axis) {
            strides[axis] = layout.along_channels ? 1 : layout.channel_stride * bits_per_byte;
            stride = layout.outer_stride * bits_per_byte;
        }
    }
    return strides;
}

}  // namespace

MemoryOrder::MemoryOrder(const Problem& problem, const TensorList& tensors)
    : problem_(problem), tensors_(tensors) {
    const std::span<const std::int64_t> shape = problem.shape;
    const std::span<const std::int64_t> strides = tensors.target.strides;
    if (tensors.target.address == nullptr || is_in_order(shape, strides)) {
        return;
    }
    const auto channel_axis = static_cast<std::size_t>(problem.channel_axis);
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        if (shape[axis] != 1 || axis == channel_axis) {
            axes_.push_back(axis);
        }
    }
    // One channel is the outermost axis, whatever its stride: all elements are one row then.
    std::ranges::stable_sort(axes_, std::ranges::greater(), [&](std::size_t axis) {
        return shape[axis] == 1 ? std::numeric_limits<std::int64_t>::max()
                                : std::abs(strides[axis]);
    });
    problem_.shape = in_order(shape, shape_);
    problem_.channel_axis = std::ranges::find(axes_, channel_axis) - axes_.begin();
    for (std::size_t source = 0; source < tensors.sources.size(); ++source) {
        const auto& [address, source_strides] = tensors.sources[source];
        sources_[source] = {address, in_order(source_strides, source_strides_[source])};
    }
    tensors_.sources = {sources_.data(), tensors.sources.size()};
    tensors_.target.strides = in_order(strides, target_strides_);
}

std::span<const std::int64_t> MemoryOrder::in_order(std::span<const std::int64_t> values,
                                                    std::vector<std::int64_t>& storage) const {
    for (const std::size_t axis : axes_) {
        storage.push_back(values[axis]);
    }
    return storage;
}

Traversals::Traversals(const Problem& problem, const TensorList& tensors)
    : problem_(problem), reduce_(problem, tensors) {
    if (reduce_.elements_per_channel() == 0 || reduce_.lies_in_order()) {
        return;
    }
    order_.emplace(problem, tensors);
    if (!order_->is_logical()) {
        apply_.emplace(order_->problem(), order_->tensors());
    }
}

void Traversals::set_reduce_sources(std::span<const std::size_t> sources) {
    reduce_.set_reduce_sources(sources);
}

void Traversals::set_apply_sources(std::span<const std::size_t> sources) {
    reduce_.set_apply_sources(sources);
    if (apply_) {
        apply_->set_apply_sources(sources);
    }
}

void Traversals::set_mask(std::byte* address, bool is_written, std::int64_t num_threads) {
    if (!apply_ || !is_written) {
        reduce_.set_mask(address, problem_, is_written);
    }
    if (!apply_) {
        return;
    }
    mask_in_memory_order_.resize(
        static_cast<std::size_t>(ReluMaskLayout(order_->problem()).byte_count()));
    mask_ = address;
    if (!is_written) {
        permute_bits(logical_mask(), mask_in_memory_order_, bit_axes(), num_threads);
    }
    apply_->set_mask(mask_in_memory_order_.data(), order_->problem(), is_written);
}

void Traversals::set_positions(const CountedPositions* positions, bool are_applied) {
    if (positions != nullptr && are_applied) {
        apply_.reset();
    }
    reduce_.set_positions(positions);
}

void Traversals::finish_mask(std::int64_t num_threads) {
    if (mask_ == nullptr) {
        return;
    }
    std::vector<BitAxis> axes = bit_axes();
    for (BitAxis& axis : axes) {
        std::swap(axis.source_stride, axis.target_stride);
    }
    const std::span<std::byte> target = logical_mask();
    std::ranges::fill(target, std::byte{0});
    permute_bits(mask_in_memory_order_, target, axes, num_threads);
}

std::vector<BitAxis> Traversals::bit_axes() const {
    const std::vector<std::int64_t> logical = bit_strides(problem_);
    const std::vector<std::int64_t> in_memory = bit_strides(order_->problem());
    std::vector<BitAxis> axes;
    for (std::size_t place = 0; place < in_memory.size(); ++place) {
        const std::size_t axis = order_->axes()[place];
        axes.push_back({problem_.shape[axis], logical[axis], in_memory[place]});
    }
    return axes;
}

std::span<std::byte> Traversals::logical_mask() const {
    return {mask_, static_cast<std::size_t>(ReluMaskLayout(problem_).byte_count())};
}

}  // namespace normgraph::kernel::simd
