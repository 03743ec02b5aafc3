#pragma once

#include <cmath>
#include <cstdint>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/storage_type.hpp"

/// The upper bound of a ReLU as its elements meet it; no_upper_bound stays.
namespace normgraph::kernel {

/// The bound as a number of the data's type.
template <typename Data>
arithmetic_t<Data> rounded_bound(double upper_bound) {
    if constexpr (sizeof(Data) == 8) {
        return upper_bound;
    } else {
        return to_float(rounded_once<Data>(upper_bound));
    }
}

/// The same, for a type known at run time.
inline double rounded_bound(ElementType type, double upper_bound) {
    return with_data_type(type, [&]<typename Data>() {
        return static_cast<double>(rounded_bound<Data>(upper_bound));
    });
}

/// The smallest number whose stored form has reached the bound. It is stored as the bound itself,
/// so the minimum of any number and of this one is stored as the bounded number.
template <typename Data>
arithmetic_t<Data> smallest_stored_as_bound(double upper_bound) {
    const arithmetic_t<Data> bound = rounded_bound<Data>(upper_bound);
    if constexpr (sizeof(Data) == 2) {
        const auto bits = static_cast<std::uint16_t>(rounded_once<Data>(upper_bound).bits - 1U);
        const float below = to_float(Data{bits});
        const float middle = below + (bound - below) / 2;  // exact
        const bool is_rounded_up = to_float(rounded_to<Data>(middle)) >= bound;
        return is_rounded_up ? middle : std::nextafter(middle, bound);
    } else {
        return bound;
    }
}

}  // namespace normgraph::kernel
