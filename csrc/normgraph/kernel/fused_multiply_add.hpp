#pragma once

#include <cmath>

namespace normgraph::kernel {

/// a·b + c, rounded once. Where the processor that this is compiled for has no such instruction,
/// the C library computes it: through a wider type it would be rounded twice.
inline float fused_multiply_add(float a, float b, float c) {
    return std::fma(a, b, c);
}
inline double fused_multiply_add(double a, double b, double c) {
    return std::fma(a, b, c);
}

}  // namespace normgraph::kernel
