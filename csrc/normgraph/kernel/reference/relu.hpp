#pragma once

#include <array>

#include "normgraph/kernel/coefficients.hpp"
#include "normgraph/kernel/reference/view.hpp"
#include "normgraph/kernel/relu_bound.hpp"
#include "normgraph/kernel/relu_mask.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

/// ReLU, after the forward pass and before the backward pass.
namespace normgraph::kernel::reference {

/// Walks the bits of one channel in the logical order of its elements.
class ReluMaskWalker {
public:
    ReluMaskWalker(const Problem& problem, std::int64_t channel)
        : layout_(problem), channel_(channel) {}

    ReluMaskBit next() {
        const ReluMaskBit bit = layout_.bit_of(outer_, channel_, inner_);
        if (++inner_ == layout_.inner) {
            inner_ = 0;
            ++outer_;
        }
        return bit;
    }

private:
    ReluMaskLayout layout_;
    std::int64_t channel_;
    std::int64_t outer_ = 0, inner_ = 0;
};

/// Bits are written in the order of their bytes' least significant first: that one clears the byte.
inline void write_bit(std::byte* mask, ReluMaskBit at, bool is_set) {
    const auto bit = static_cast<std::byte>(static_cast<unsigned>(is_set) << at.bit);
    mask[at.byte] = at.bit == 0 ? bit : mask[at.byte] | bit;
}

inline bool read_bit(const std::byte* mask, ReluMaskBit at) {
    return ((mask[at.byte] >> at.bit) & std::byte{1}) != std::byte{0};
}

/// The value as it is once it has been stored.
template <typename Data>
arithmetic_t<Data> rounded(arithmetic_t<Data> value) {
    std::array<std::byte, sizeof(Data)> memory;
    store<Data>(memory.data(), value);
    return load<Data>(memory.data());
}

/// The first elements of a channel, in tensors 0 to 2 of the view; null where a tensor is absent.
struct ReluChannel {
    const std::byte* input;
    std::byte* activation;
    const std::byte* residual;

    ReluChannel(const View& view, std::int64_t channel, ConstTensor all_input,
                Tensor all_activation, ConstTensor all_residual)
        : input(all_input.address + channel * view.channel_strides[0]),
          activation(of_channel(all_activation.address, view.channel_strides[1], channel)),
          residual(of_channel(all_residual.address, view.channel_strides[2], channel)) {}

private:
    template <typename Byte>
    static Byte* of_channel(Byte* address, std::int64_t channel_stride, std::int64_t channel) {
        return address == nullptr ? nullptr : address + channel * channel_stride;
    }
};

/// Writes the activation and the mask's bits of channel `index`, each unless its address is null.
template <typename Data>
void normalize_with_relu(const Problem& problem, const View& view, std::int64_t index,
                         const ReluChannel& channel,
                         const ForwardCoefficients<arithmetic_t<Data>>& coefficients,
                         double upper_bound, std::byte* mask) {
    const auto bound = rounded_bound<Data>(upper_bound);
    ViewCursor place(view.elements);
    ReluMaskWalker bits(problem, index);
    for (std::int64_t element = 0; element < view.elements_per_channel(); ++element) {
        stop_if_interrupted(element);
        auto sum = coefficients(load<Data>(channel.input + place.offset(0)));
        if (channel.residual != nullptr) {
            sum += load<Data>(channel.residual + place.offset(2));
        }
        const auto value = rounded<Data>(sum);
        const auto positive = value <= 0 ? 0 : value;  // NaN stays
        const bool is_bounded = positive >= bound;
        if (channel.activation != nullptr) {
            store<Data>(channel.activation + place.offset(1), is_bounded ? bound : positive);
        }
        if (mask != nullptr) {
            write_bit(mask, bits.next(), positive != 0 && !is_bounded);
        }
        place.advance();
    }
}

/// Reads the elements of one channel's gradient in order; +0 where the mask, if there is one, has
/// no bit.
template <typename Data>
class GradientReader {
public:
    GradientReader(const Problem& problem, std::int64_t channel, ConstReluMask mask)
        : mask_(mask.address), bits_(problem, channel) {}

    arithmetic_t<Data> next(const std::byte* address) {
        return mask_ == nullptr || read_bit(mask_, bits_.next()) ? load<Data>(address) : 0;
    }

private:
    const std::byte* mask_;
    ReluMaskWalker bits_;
};

}  // namespace normgraph::kernel::reference
