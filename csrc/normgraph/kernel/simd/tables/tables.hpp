#pragma once

#include "normgraph/kernel/simd/micro_kernels/contract.hpp"

/// The instruction sets that this build has micro-kernels for.
namespace normgraph::kernel::simd {

#if defined(__x86_64__) || defined(_M_X64)
extern const MicroKernelTable sse2_table;
extern const MicroKernelTable avx2_table;
extern const MicroKernelsByType avx512_micro_kernels;
extern const MicroKernelTable avx512_table;
extern const MicroKernelTable avx512_bf16_table;
#elif defined(__aarch64__)
extern const MicroKernelTable neon_table;
#endif

}  // namespace normgraph::kernel::simd
