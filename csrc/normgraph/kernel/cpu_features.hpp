#pragma once

/// Features that the processor has, and the operating system lets programs use.
namespace normgraph::kernel {

/// AVX2 and F16C.
bool has_avx2();

/// AVX-512 F, BW, DQ and VL, and FMA, besides what has_avx2 requires.
bool has_avx512();

}  // namespace normgraph::kernel
