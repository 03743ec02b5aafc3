#pragma once

#include <cmath>

#include "normgraph/kernel/summation_order.hpp"

namespace normgraph::kernel {

/// Σδ·(input − mean), from Σδ·(input − m) and Σδ, where m is what the terms of the sum, of term_t,
/// have of the mean.
///
/// Terms of 16-bit data are float, so that a mean of f64 is rounded before it is subtracted. What
/// that leaves of it would cost the sum Σδ times as much. With any other types nothing is left; nor
/// is anything taken off where the mean is beyond float.
template <typename Data>
double products_about(double mean, double products, double values) {
    const double rest = mean - static_cast<double>(static_cast<term_t<Data>>(mean));
    return rest != 0.0 && std::isfinite(rest) ? products - rest * values : products;
}

}  // namespace normgraph::kernel
