#pragma once

/// Features that the processor has, and the operating system lets programs use.
namespace normgraph::kernel {

/// AVX2, FMA and F16C.
bool has_avx2();

/// AVX-512 F, BW, DQ and VL, besides what has_avx2 requires.
bool has_avx512();

/// AVX512_BF16, besides what has_avx512 requires.
bool has_avx512_bf16();

}  // namespace normgraph::kernel
