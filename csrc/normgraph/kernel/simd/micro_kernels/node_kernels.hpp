#pragma once

#include <cstdint>

#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/micro_kernels/elements.hpp"

/// The moments of blocks and their nodes (see moments.hpp), many channels at once.
namespace normgraph::kernel::simd {

template <typename Isa>
class NodeKernels {
public:
    /// See AddChains.
    static void add_chains(void* sums, double* totals, std::int64_t columns, bool are_first) {
        are_first ? add_chains<true>(static_cast<float*>(sums), totals, columns)
                  : add_chains<false>(static_cast<float*>(sums), totals, columns);
    }

    /// See MakeMoments.
    template <typename Data>
    static void make_moments(const void* shifts, double* node, std::int64_t stride,
                             std::int64_t channels, double count) {
        const auto* const all = static_cast<const term_t<Data>*>(shifts);
        const Vector divisor = Isa::broadcast(count);
        for (std::int64_t channel = 0; channel < channels; channel += Isa::float_width) {
            const WideOf<Isa> shift =
                load_wide<Isa, term_t<Data>>(reinterpret_cast<const std::byte*>(all + channel));
            unrolled<Isa, doubles_per_float<Isa>>([&](std::size_t part) NORMGRAPH_ALWAYS_INLINE {
                double* const means = node + channel + static_cast<std::int64_t>(part) * width;
                const Vector sum = Isa::load(means);
                const Vector distance = sum / divisor;
                Isa::store(means, shift[part] + distance);
                Isa::store(means + stride,
                           zero_if_negative(Isa::load(means + stride) - sum * distance));
            });
        }
    }

    /// See InverseDeviations and Divide.
    static void inverse_deviations(double* variances, std::int64_t count, double epsilon) {
        const Vector one = Isa::broadcast(1.0), added = Isa::broadcast(epsilon);
        for (std::int64_t channel = 0; channel < count; channel += width) {
            const Vector variance = Isa::load(variances + channel);
            Isa::store(variances + channel, one / Isa::square_root(variance + added));
        }
    }
    static void divide(double* values, std::int64_t count, double divisor) {
        const Vector divisors = Isa::broadcast(divisor);
        for (std::int64_t channel = 0; channel < count; channel += width) {
            Isa::store(values + channel, Isa::load(values + channel) / divisors);
        }
    }

    /// See CombineNodes.
    static void merge_moments(const double* left, double* right, std::int64_t length,
                              const MergeFactors& factors) {
        const Vector to_mean = Isa::broadcast(factors.to_mean);
        const Vector to_squares = Isa::broadcast(factors.to_squares);
        const std::int64_t half = length / 2;
        for (std::int64_t index = 0; index < half; index += width) {
            const Vector mean = Isa::load(left + index);
            const Vector distance = Isa::load(right + index) - mean;
            const Vector squares = Isa::load(left + half + index) + Isa::load(right + half + index);
            Isa::store(right + index, mean + distance * to_mean);
            Isa::store(right + half + index, squares + (distance * distance) * to_squares);
        }
    }

private:
    using Vector = typename Isa::Double;
    static constexpr std::int64_t width = Isa::double_width;

    template <bool are_first>
    static void add_chains(float* chains, double* totals, std::int64_t columns) {
        for (std::int64_t column = 0; column < columns; column += Isa::float_width) {
            const WideOf<Isa> wide = Isa::widen(Isa::load(chains + column));
            unrolled<Isa, doubles_per_float<Isa>>([&](std::size_t part) NORMGRAPH_ALWAYS_INLINE {
                double* const total = totals + column + static_cast<std::int64_t>(part) * width;
                // 0 is added as well: the sum of a chain may be -0, which a total never is.
                Isa::store(total,
                           (are_first ? Isa::broadcast(0.0) : Isa::load(total)) + wide[part]);
            });
            Isa::store(chains + column, Isa::broadcast(0.0F));
        }
    }

    /// NaN and -0 stay.
    NORMGRAPH_ALWAYS_INLINE static Vector zero_if_negative(Vector value) {
        const std::uint32_t is_not_positive =
            Isa::not_less_equal(Isa::broadcast(0.0), value) & ~Isa::not_less_equal(value, value);
        return Isa::zero_mask(value, ~is_not_positive);
    }
};

}  // namespace normgraph::kernel::simd
