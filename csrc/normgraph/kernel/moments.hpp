#pragma once

#include <cmath>
#include <cstdint>

namespace normgraph::kernel {

/// A channel's mean and biased (1/n) variance, not yet rounded to their storage type.
struct Moments {
    double mean, variance;
};

/// Where a shift is infinite or NaN, sums about it would lose an infinite mean; 0 keeps it.
inline double usable_shift(double shift) {
    return std::isfinite(shift) ? shift : 0.0;
}

/// From sum = Σ(x − shift) and sum_of_squares = Σ(x − shift)².
///
/// With d = mean − shift, the subtraction cancels at most a factor 1 + d²/variance of double's
/// precision. A shift that is one of the x has d² <= n·variance; a shift that is the mean up to
/// rounding has d² ~ 0. A constant channel gives variance exactly 0. Rounding may leave a variance
/// of a few ulps below 0, which becomes 0; NaN stays.
inline Moments moments_from_sums(double shift, double sum, double sum_of_squares,
                                 std::int64_t count) {
    const double n = static_cast<double>(count);
    const double distance = sum / n;
    const double variance = sum_of_squares / n - distance * distance;
    return {shift + distance, variance < 0.0 ? 0.0 : variance};
}

}  // namespace normgraph::kernel
