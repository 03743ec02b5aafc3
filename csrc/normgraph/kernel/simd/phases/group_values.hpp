#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "normgraph/kernel/simd/tiling/geometry.hpp"

namespace normgraph::kernel::simd {

/// Repeats the first `size` bytes until there are `count` times as many, a power of two.
inline void repeat(std::byte* values, std::int64_t size, std::int64_t count) {
    for (std::int64_t done = 1; done < count; done *= 2) {
        std::copy_n(values, done * size, values + done * size);
    }
}

/// The values of a group of channels, or of some of them. Shifts and coefficients are set for the
/// first column of each channel, and then repeated for the others.
struct GroupValues {
    std::int64_t stride;  ///< from one sum, or coefficient, to the next
    std::int64_t channels;
    std::int64_t columns_per_channel;
    std::byte* shifts;        ///< [column], of term_t
    double* node;             ///< [2][stride], of channels
    std::byte* coefficients;  ///< [coefficient][stride], of columns

    template <typename Data>
    void set_shift(std::int64_t channel, double shift) const {
        reinterpret_cast<term_t<Data>*>(shifts)[channel] = static_cast<term_t<Data>>(shift);
    }
    template <typename Data>
    void repeat_shifts() const {
        repeat(shifts, channels * static_cast<std::int64_t>(sizeof(term_t<Data>)),
               columns_per_channel);
    }
    /// Of so many kinds.
    template <typename Arithmetic>
    void repeat_coefficients(std::size_t count) const {
        constexpr auto size = static_cast<std::int64_t>(sizeof(Arithmetic));
        for (std::size_t kind = 0; kind < count; ++kind) {
            repeat(coefficients + static_cast<std::int64_t>(kind) * stride * size, channels * size,
                   columns_per_channel);
        }
    }
    template <typename Data>
    double shift(std::int64_t channel) const {
        return static_cast<double>(reinterpret_cast<const term_t<Data>*>(shifts)[channel]);
    }
    /// One of the two values of a channel.
    double value(std::int64_t which, std::int64_t channel) const {
        return node[which * stride + channel];
    }
    /// Whether this coefficient is 1 for all channels.
    template <typename Arithmetic>
    bool is_all_ones(std::size_t coefficient) const {
        const auto* const values = reinterpret_cast<const Arithmetic*>(coefficients) +
                                   static_cast<std::int64_t>(coefficient) * stride;
        return std::all_of(values, values + channels, [](Arithmetic one) { return one == 1; });
    }
    /// Those of channels [first, first + count); of all, where a channel has several columns.
    template <typename Data>
    GroupValues some(std::int64_t first, std::int64_t count) const {
        GroupValues result = *this;
        result.channels = count;
        result.shifts += first * static_cast<std::int64_t>(sizeof(term_t<Data>));
        result.node += first;
        result.coefficients += first * static_cast<std::int64_t>(sizeof(arithmetic_t<Data>));
        return result;
    }
    /// `formula`: a struct of Arithmetic values. Any NaN among them becomes the canonical quiet
    /// NaN: vector code rounds to bf16 without looking for NaNs, which adds at most 0x8000 to their
    /// bits. That keeps the canonical one a NaN, and those that come from bf16 data, whose lower
    /// half is 0.
    template <typename Arithmetic, typename Formula>
    void set_coefficients(std::int64_t channel, const Formula& formula) const {
        static_assert(std::is_trivially_copyable_v<Formula>);
        constexpr std::size_t count = sizeof(Formula) / sizeof(Arithmetic);
        std::array<Arithmetic, count> values;
        std::memcpy(values.data(), &formula, sizeof(Formula));
        for (Arithmetic& value : values) {
            value = std::isnan(value) ? std::numeric_limits<Arithmetic>::quiet_NaN() : value;
        }
        auto* const all = reinterpret_cast<Arithmetic*>(coefficients);
        for (std::size_t index = 0; index < count; ++index) {
            all[static_cast<std::int64_t>(index) * stride + channel] = values[index];
        }
    }
};

/// Values of some channels, of which divisions and roots are made by vectors.
class ChannelArray {
public:
    static constexpr std::int64_t most = 64;

    double& operator[](std::int64_t channel) { return values_[static_cast<std::size_t>(channel)]; }
    double operator[](std::int64_t channel) const {
        return values_[static_cast<std::size_t>(channel)];
    }
    /// Of so many channels; what whole vectors have besides must not be anything.
    double* filled(std::int64_t count) {
        std::fill_n(values_.data() + count, widest_vector, 1.0);
        return values_.data();
    }

private:
    alignas(64) std::array<double, most + widest_vector> values_;
};

/// Calls function(first, count) for all channels, as many at a time as an array has.
template <typename Function>
void for_channel_arrays(std::int64_t channels, const Function& function) {
    for (std::int64_t first = 0; first < channels; first += ChannelArray::most) {
        function(first, std::min(ChannelArray::most, channels - first));
    }
}

/// The size of GroupValues' memory, and how it is taken. `Op`: see run.hpp.
template <typename Op>
std::size_t group_bytes(const Geometry& geometry, std::int64_t channels) {
    const auto values = static_cast<std::size_t>(geometry.values_per_group(channels));
    return Scratch::rounded((1 + sums_per_channel) * values * sizeof(double)) +
           Scratch::rounded(Op::coefficient_count * values * sizeof(typename Op::Arithmetic)) +
           2 * Scratch::line;
}

template <typename Op>
GroupValues take_group(const Geometry& geometry, std::int64_t channels, Scratch& scratch) {
    const std::int64_t stride = geometry.values_per_group(channels);
    auto* const shifts = scratch.take<double>(stride);
    auto* const node = scratch.take<double>(sums_per_channel * stride);
    auto* const coefficients = scratch.take<typename Op::Arithmetic>(
        static_cast<std::int64_t>(Op::coefficient_count) * stride);
    return {stride,
            channels,
            geometry.columns_per_channel(),
            reinterpret_cast<std::byte*>(shifts),
            node,
            reinterpret_cast<std::byte*>(coefficients)};
}

}  // namespace normgraph::kernel::simd
