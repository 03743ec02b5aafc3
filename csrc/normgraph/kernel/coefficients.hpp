#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/fused_multiply_add.hpp"

/// Coefficients, computed once per channel in double, and the formulas that use them for every
/// element.
/// All kernels use these, on single elements or on vectors of them, so that their element-wise
/// outputs agree to the bit.
namespace normgraph::kernel {

/// 1/√(variance + epsilon) as an op with these statistics takes it.
///
/// In training an infinite sum, of which alone the inverse is 0, makes its channel NaN: it stands
/// for one that a type could not hold, and 0 would be a gradient that is lost without a word. With
/// given statistics it is a number as any other.
inline double usable_inverse(Statistics statistics, double inverse) {
    const bool is_lost = statistics == Statistics::of_batch && inverse == 0.0;
    return is_lost ? std::numeric_limits<double>::quiet_NaN() : inverse;
}

inline double inverse_standard_deviation(Statistics statistics, double variance, double epsilon) {
    return usable_inverse(statistics, 1.0 / std::sqrt(variance + epsilon));
}

/// The gradient of gamma, from the sum of products over a batch of this many elements. Of an empty
/// batch a sum of 0 stays 0, whatever the inverse.
inline double gamma_delta_of(double products, double inverse, double count) {
    return count == 0.0 && products == 0.0 ? 0.0 : products * inverse;
}

/// normalized, for one element or a vector of them.
template <typename Value>
struct NormalizeFormula {
    Value mean, scale, shift;

    Value operator()(Value input) const { return fused_multiply_add(input - mean, scale, shift); }
};

/// input_delta of the training backward pass, for one element or a vector of them, where slope is
/// in the range of its type.
template <typename Value>
struct InputDeltaFormula {
    Value mean, scale, minus_shift, minus_slope;

    Value operator()(Value input, Value normalized_delta) const {
        return fused_multiply_add(input - mean, minus_slope,
                                  fused_multiply_add(scale, normalized_delta, minus_shift));
    }
};

/// The same for any slope. With unit = 1 the results are those of InputDeltaFormula.
template <typename Value>
struct ScaledInputDeltaFormula {
    Value mean, scale, minus_shift, minus_slope, unit;

    Value operator()(Value input, Value normalized_delta) const {
        return fused_multiply_add(unit * (input - mean), minus_slope,
                                  fused_multiply_add(scale, normalized_delta, minus_shift));
    }
};

/// normalized = fma(input − mean, scale, shift), in `Arithmetic` (float or double); scale is gamma
/// times the channel's inverse_standard_deviation.
///
/// What rounding the mean to Arithmetic leaves of it is taken off by way of shift, so that it costs
/// nothing even where the mean is much larger than the standard deviation. Error, with u the unit
/// roundoff: the difference and scale make 1u each of |gamma·x̂|, shift 1u of itself, and the sum 1u
/// of the result. Shift is beta and the part of the mean that was left, at most u·|mean|·|scale|:
/// either is small beside |gamma·x̂|, or the difference is exact. In all 5u of the larger of
/// |gamma·x̂| and |beta|; 4.99u are reached.
template <typename Arithmetic>
struct ForwardCoefficients : NormalizeFormula<Arithmetic> {
    ForwardCoefficients(double gamma, double beta, double mean_value, double inverse) {
        this->mean = static_cast<Arithmetic>(mean_value);
        this->scale = static_cast<Arithmetic>(gamma * inverse);
        const double rest = mean_value - static_cast<double>(this->mean);
        this->shift = static_cast<Arithmetic>(beta - rest * static_cast<double>(this->scale));
    }
};

/// The values from which the formula of a channel's input_delta is made, in double.
struct BackpropValues {
    double gamma, mean;
    double inverse;                  ///< see inverse_standard_deviation
    double gamma_delta, beta_delta;  ///< divided by the number of elements
};

/// input_delta = fma(unit·(input − mean), −slope, fma(scale, normalized_delta, −shift)).
///
/// This is gamma·inv·(δ − beta_delta/n − x̂·gamma_delta/n). Unit is 1 wherever slope, gamma·inv²·
/// gamma_delta/n, is in the normal range of Arithmetic, and a power of two near inv where it is not
/// (inputs around 1e18): multiplying by it is exact, and slope is then gamma·inv·gamma_delta/n ·
/// inv/unit. Error, in u of the largest of the three terms: scale 1, shift 1, difference and slope
/// 2, and the two results, of at most two and three terms, 2 and 3: 9 in all.
template <typename Arithmetic>
struct BackpropCoefficients : ScaledInputDeltaFormula<Arithmetic> {
    explicit BackpropCoefficients(const BackpropValues& channel) {
        const double scale_exact = channel.gamma * channel.inverse;
        const double unit_near = power_of_two_near(channel.inverse);
        // A division by a power of two in the normal range.
        const double split_slope = (scale_exact * channel.gamma_delta) *
                                   (channel.inverse * inverse_power_of_two(unit_near));
        const double whole_slope = split_slope * unit_near;
        const bool is_split =
            !is_in_range(whole_slope) && std::isfinite(split_slope) && split_slope != 0.0;
        this->mean = static_cast<Arithmetic>(channel.mean);
        this->unit = static_cast<Arithmetic>(is_split ? unit_near : 1.0);
        this->scale = static_cast<Arithmetic>(scale_exact);
        // What rounding the mean leaves of it: 0, unless it was given in a wider type.
        const double rest = channel.mean - static_cast<double>(this->mean);
        const double shift =
            scale_exact * channel.beta_delta - (rest == 0.0 ? 0.0 : rest * whole_slope);
        this->minus_shift = static_cast<Arithmetic>(-shift);
        this->minus_slope = static_cast<Arithmetic>(is_split ? -split_slope : -whole_slope);
    }

private:
    static bool is_in_range(double value) {
        constexpr auto smallest = static_cast<double>(std::numeric_limits<Arithmetic>::min());
        constexpr double largest = 0x1p127;
        constexpr double largest_double = 0x1p1023;
        const double magnitude = std::abs(value);
        return magnitude >= smallest &&
               magnitude <= (sizeof(Arithmetic) == sizeof(float) ? largest : largest_double);
    }

    /// 1/value of a power of two whose exponent is that of no denormal, nor is its negative.
    static double inverse_power_of_two(double value) {
        constexpr std::uint64_t exponent_of_square = std::uint64_t{2} * 1023 << 52;
        return std::bit_cast<double>(exponent_of_square - std::bit_cast<std::uint64_t>(value));
    }

    /// The power of two at or below the magnitude, kept within the normal range of Arithmetic; 1
    /// where there is none (zero, infinity, NaN).
    static double power_of_two_near(double value) {
        constexpr std::uint64_t exponent_mask = 0x7FF0000000000000U;
        constexpr int bias = 1023;
        constexpr int fraction_bits = 52;
        constexpr int limit = std::numeric_limits<Arithmetic>::max_exponent - 2;
        const std::uint64_t bits = std::bit_cast<std::uint64_t>(value) & exponent_mask;
        if (bits == exponent_mask || value == 0.0) {
            return 1.0;
        }
        const int exponent = static_cast<int>(bits >> fraction_bits) - bias;
        const int within = std::clamp(exponent, -limit, limit);
        return std::bit_cast<double>(static_cast<std::uint64_t>(within + bias) << fraction_bits);
    }
};

/// input_delta = scale·normalized_delta, the statistics being given.
///
/// Error of gamma·inv·δ in u: 1 for scale, 1 for the product; in double scale's own four roundings
/// count as well (that of variance + epsilon half, under the root), 4.5 in all.
template <typename Arithmetic>
struct FrozenBackpropCoefficients {
    Arithmetic scale;

    explicit FrozenBackpropCoefficients(const BackpropValues& channel)
        : scale(static_cast<Arithmetic>(channel.gamma * channel.inverse)) {}

    Arithmetic operator()(Arithmetic normalized_delta) const { return scale * normalized_delta; }
};

}  // namespace normgraph::kernel
