#pragma once

// Memory traffic: three elements of each channel of a block.

#include <array>
#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/moments.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/micro_kernels/elements.hpp"
#include "normgraph/kernel/tuning.hpp"

namespace normgraph::kernel::simd {

/// The shift (see moments.hpp) of each channel in a block.
template <typename Isa, typename Data>
class ShiftsOfBlock {
public:
    static void run(const std::array<const std::byte*, 3>& elements, std::int64_t channel_stride,
                    std::int64_t channels, std::int64_t prefetch_distance, void* shifts) {
        if (prefetch_distance != 0) {
            prefetch(elements, channel_stride, channels, prefetch_distance);
        }
        auto* const target = static_cast<Shift*>(shifts);
        std::int64_t channel = 0;
        if (channel_stride == static_cast<std::int64_t>(sizeof(Data))) {
            for (; channel + width <= channels; channel += width) {
                store(target + channel, medians(elements, channel * channel_stride));
            }
        }
        for (; channel < channels; ++channel) {
            const auto value = [&](std::size_t which) {
                return load<Data>(elements[which] + channel * channel_stride);
            };
            target[channel] = shift_of_block(value(0), value(1), value(2));
        }
    }

private:
    using Shift = term_t<Data>;
    using Vector = arithmetic_vector_t<Isa, Data>;
    static constexpr std::int64_t width = ArithmeticVector<Isa, Data>::width;

    NORMGRAPH_ALWAYS_INLINE static void prefetch(const std::array<const std::byte*, 3>& addresses,
                                                 std::int64_t channel_stride, std::int64_t channels,
                                                 std::int64_t distance) {
        const std::int64_t per_line = channel_stride == sizeof(Data)
                                          ? cache_line / static_cast<std::int64_t>(sizeof(Data))
                                          : 1;
        for (std::int64_t channel = 0; channel < channels; channel += per_line) {
            for (const std::byte* const address : addresses) {
                Isa::prefetch_far(address + distance + channel * channel_stride);
            }
        }
    }

    NORMGRAPH_ALWAYS_INLINE static Vector medians(const std::array<const std::byte*, 3>& addresses,
                                                  std::int64_t offset) {
        const auto value = [&](std::size_t which) {
            return Isa::load(simd::elements<Data>(addresses[which] + offset));
        };
        const Vector first = value(0), middle = value(1), last = value(2);
        const Vector median = Isa::maximum(Isa::minimum(first, middle),
                                           Isa::minimum(Isa::maximum(first, middle), last));
        // NOLINTNEXTLINE(misc-redundant-expression): infinity less itself is NaN
        const Vector zero = median - median;
        return Isa::zero_mask(median + zero, ~Isa::not_less_equal(zero, zero));
    }

    NORMGRAPH_ALWAYS_INLINE static void store(Shift* target, Vector median) {
        if constexpr (sizeof(Data) == sizeof(float)) {
            const WideOf<Isa> wide = Isa::widen(median);
            for (std::size_t part = 0; part < wide.size(); ++part) {
                Isa::store(target + part * static_cast<std::size_t>(Isa::double_width), wide[part]);
            }
        } else {
            Isa::store(target, median);
        }
    }
};

}  // namespace normgraph::kernel::simd
