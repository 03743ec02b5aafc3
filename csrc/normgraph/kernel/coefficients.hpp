#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

/// What is computed once per channel, in double, and used for every element of it. All kernels call
/// these functions, so that their element-wise outputs agree to the bit.
namespace normgraph::kernel {

inline double inverse_standard_deviation(double variance, double epsilon) {
    return 1.0 / std::sqrt(variance + epsilon);
}

/// normalized = ((input − mean_high) − mean_low)·scale + beta, in `Arithmetic` (float or double).
///
/// mean_high + mean_low is the mean to twice the precision of Arithmetic, so its rounding costs
/// nothing even where the mean is much larger than the standard deviation. Error, with u the unit
/// roundoff: 2 roundings of the difference, 1 of scale and 1 of the product are 4u of |gamma·x̂|;
/// the sum rounds by u of itself, which is at most twice the larger of |gamma·x̂| and |beta|. In
/// all 6u of the larger one.
template <typename Arithmetic>
struct ForwardCoefficients {
    Arithmetic mean_high, mean_low, scale, beta;

    ForwardCoefficients(double gamma, double beta_value, double mean, double variance,
                        double epsilon)
        : mean_high(static_cast<Arithmetic>(mean)),
          mean_low(static_cast<Arithmetic>(mean - static_cast<double>(mean_high))),
          scale(static_cast<Arithmetic>(gamma * inverse_standard_deviation(variance, epsilon))),
          beta(static_cast<Arithmetic>(beta_value)) {}

    Arithmetic operator()(Arithmetic input) const {
        return ((input - mean_high) - mean_low) * scale + beta;
    }
};

/// input_delta = (scale·normalized_delta − shift) − ((input − mean)·unit)·slope.
///
/// This is gamma·inv·(δ − beta_delta/n − x̂·gamma_delta/n) with x̂ split into (input − mean)·unit
/// and inv/unit, where unit is a power of two near inv: multiplying by it is exact, and slope stays
/// in the range of Arithmetic where gamma·inv²·gamma_delta/n would leave it (inputs around 1e18).
/// Error, in u of the largest of the three terms: 2 for the first, 1 for shift, 3 for the third,
/// 2 and 3 for the two subtractions, 11 in all.
template <typename Arithmetic>
struct BackpropCoefficients {
    Arithmetic mean, unit, scale, shift, slope;

    BackpropCoefficients(double gamma, double mean_value, double variance, double epsilon,
                         double gamma_delta, double beta_delta, std::int64_t count)
        : mean(static_cast<Arithmetic>(mean_value)) {
        const double inverse = inverse_standard_deviation(variance, epsilon);
        const double n = static_cast<double>(count);
        const double scale_exact = gamma * inverse;
        const double unit_exact = power_of_two_near(inverse);
        unit = static_cast<Arithmetic>(unit_exact);
        scale = static_cast<Arithmetic>(scale_exact);
        shift = static_cast<Arithmetic>(scale_exact * (beta_delta / n));
        slope = static_cast<Arithmetic>((scale_exact * (gamma_delta / n)) * (inverse / unit_exact));
    }

    Arithmetic operator()(Arithmetic input, Arithmetic normalized_delta) const {
        return (scale * normalized_delta - shift) - ((input - mean) * unit) * slope;
    }

private:
    /// 1 where there is none (zero, infinity, NaN); kept within the normal range of Arithmetic.
    static double power_of_two_near(double value) {
        if (!std::isfinite(value) || value == 0.0) {
            return 1.0;
        }
        constexpr int limit = std::numeric_limits<Arithmetic>::max_exponent - 2;
        return std::ldexp(1.0, std::clamp(std::ilogb(value), -limit, limit));
    }
};

/// input_delta = scale·normalized_delta, the statistics being constants.
///
/// Error of gamma·inv·δ in u: 1 for scale, 1 for the product; in double scale's own four roundings
/// count as well (that of variance + epsilon half, under the root), 4.5 in all.
template <typename Arithmetic>
struct FrozenBackpropCoefficients {
    Arithmetic scale;

    FrozenBackpropCoefficients(double gamma, double variance, double epsilon)
        : scale(static_cast<Arithmetic>(gamma * inverse_standard_deviation(variance, epsilon))) {}

    Arithmetic operator()(Arithmetic normalized_delta) const { return scale * normalized_delta; }
};

}  // namespace normgraph::kernel
