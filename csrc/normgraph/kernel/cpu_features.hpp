#pragma once

/// What the processor has, and the operating system lets programs use.
namespace normgraph::kernel {

/// AVX2 and F16C.
bool has_avx2();

/// AVX-512 F, BW, DQ and VL, and FMA, besides what has_avx2 asks for.
bool has_avx512();

}  // namespace normgraph::kernel
