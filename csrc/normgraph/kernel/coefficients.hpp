#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

/// Coefficients, computed once per channel in double, and the formulas that use them for every
/// element.
/// All kernels use these, on single elements or on vectors of them, so that their element-wise
/// outputs agree to the bit.
namespace normgraph::kernel {

inline double inverse_standard_deviation(double variance, double epsilon) {
    return 1.0 / std::sqrt(variance + epsilon);
}

/// normalized, for one element or a vector of them.
template <typename Value>
struct NormalizeFormula {
    Value mean_high, mean_low, scale, beta;

    Value operator()(Value input) const { return ((input - mean_high) - mean_low) * scale + beta; }
};

/// input_delta of the training backward pass, for one element or a vector of them.
template <typename Value>
struct InputDeltaFormula {
    Value mean, unit, scale, shift, slope;

    Value operator()(Value input, Value normalized_delta) const {
        return (scale * normalized_delta - shift) - ((input - mean) * unit) * slope;
    }
};

/// normalized = ((input − mean_high) − mean_low)·scale + beta, in `Arithmetic` (float or double).
///
/// mean_high + mean_low is the mean to twice the precision of Arithmetic, so its rounding costs
/// nothing even where the mean is much larger than the standard deviation. Error, with u the unit
/// roundoff: 2 roundings of the difference, 1 of scale and 1 of the product are 4u of |gamma·x̂|;
/// the sum rounds by u of itself, which is at most twice the larger of |gamma·x̂| and |beta|. In
/// all 6u of the larger one.
template <typename Arithmetic>
struct ForwardCoefficients : NormalizeFormula<Arithmetic> {
    ForwardCoefficients(double gamma, double beta_value, double mean, double variance,
                        double epsilon) {
        this->mean_high = static_cast<Arithmetic>(mean);
        this->mean_low = static_cast<Arithmetic>(mean - static_cast<double>(this->mean_high));
        this->scale =
            static_cast<Arithmetic>(gamma * inverse_standard_deviation(variance, epsilon));
        this->beta = static_cast<Arithmetic>(beta_value);
    }
};

/// The values from which the formula of a channel's input_delta is made, in double.
struct BackpropValues {
    double gamma, mean, variance, epsilon, gamma_delta, beta_delta;
    std::int64_t count;  ///< elements of the channel
};

/// input_delta = (scale·normalized_delta − shift) − ((input − mean)·unit)·slope.
///
/// This is gamma·inv·(δ − beta_delta/n − x̂·gamma_delta/n) with x̂ split into (input − mean)·unit
/// and inv/unit, where unit is a power of two near inv: multiplying by it is exact, and slope stays
/// in the range of Arithmetic where gamma·inv²·gamma_delta/n would leave it (inputs around 1e18).
/// Error, in u of the largest of the three terms: 2 for the first, 1 for shift, 3 for the third,
/// 2 and 3 for the two subtractions, 11 in all.
template <typename Arithmetic>
struct BackpropCoefficients : InputDeltaFormula<Arithmetic> {
    explicit BackpropCoefficients(const BackpropValues& channel) {
        const double inverse = inverse_standard_deviation(channel.variance, channel.epsilon);
        const double n = static_cast<double>(channel.count);
        const double scale_exact = channel.gamma * inverse;
        const double unit_exact = power_of_two_near(inverse);
        this->mean = static_cast<Arithmetic>(channel.mean);
        this->unit = static_cast<Arithmetic>(unit_exact);
        this->scale = static_cast<Arithmetic>(scale_exact);
        this->shift = static_cast<Arithmetic>(scale_exact * (channel.beta_delta / n));
        this->slope = static_cast<Arithmetic>((scale_exact * (channel.gamma_delta / n)) *
                                              (inverse / unit_exact));
    }

private:
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
        : scale(static_cast<Arithmetic>(
              channel.gamma * inverse_standard_deviation(channel.variance, channel.epsilon))) {}

    Arithmetic operator()(Arithmetic normalized_delta) const { return scale * normalized_delta; }
};

}  // namespace normgraph::kernel
