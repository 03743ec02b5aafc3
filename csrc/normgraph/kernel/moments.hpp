#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

/// The mean of some elements and the sum of the squares of their deviations from it, as nodes of
/// the tree of the canonical order.
namespace normgraph::kernel {

/// Of a channel or a part of it, not yet rounded to a storage type.
struct Moments {
    double mean;
    double squares;  ///< Σ(x − mean)²
};

/// The shift about which the elements of a block are summed: the median of its first, its middle
/// (number n/2 of n, counted from 0) and its last element; 0 where that is infinite or NaN, since
/// sums about it would lose an infinite mean. A zero is +0: which of two zeros is the smaller one,
/// processors do not agree on.
///
/// Any of the three may be far from all other elements, which alone would cost the factor n of the
/// subtraction below; that two of them are is what bad inputs have to be built for.
template <typename Value>
Value shift_of_block(Value first, Value middle, Value last) {
    const Value median = std::max(std::min(first, middle), std::min(std::max(first, middle), last));
    return std::isfinite(median) ? median + Value{0} : Value{0};
}

/// From sum = Σ(x − shift) and sum_of_squares = Σ(x − shift)² of `count` elements.
///
/// With d = mean − shift, the subtraction cancels at most a factor 1 + n·d²/squares of double's
/// precision. A shift that is one of the x has d² <= squares, which makes 1 + n; a shift that is
/// the mean up to rounding has d² ~ 0. Equal elements give exactly 0. Rounding may leave a few ulps
/// below 0, which become 0; NaN stays.
inline Moments moments_of_block(double shift, double sum, double sum_of_squares, double count) {
    const double distance = sum / count;
    const double squares = sum_of_squares - sum * distance;
    return {shift + distance, squares < 0.0 ? 0.0 : squares};
}

/// The factors with which two nodes are merged, from the numbers of their elements.
struct MergeFactors {
    double to_mean;     ///< right / (left + right)
    double to_squares;  ///< left · right / (left + right)

    MergeFactors(double left, double right)
        : to_mean(right / (left + right)), to_squares(left * to_mean) {}
};

/// Nodes of equal elements give exactly 0 again.
inline Moments merged(const Moments& left, const Moments& right, const MergeFactors& factors) {
    const double distance = right.mean - left.mean;
    return {left.mean + distance * factors.to_mean,
            (left.squares + right.squares) + (distance * distance) * factors.to_squares};
}

}  // namespace normgraph::kernel
