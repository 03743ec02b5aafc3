#pragma once

#include "normgraph/kernel/simd/tables/tables.hpp"

/// The micro-kernels that every build for a processor has.
namespace normgraph::kernel::simd {

#if defined(__aarch64__)
inline constexpr const MicroKernelTable& baseline_table = neon_table;
#else
inline constexpr const MicroKernelTable& baseline_table = sse2_table;
#endif

}  // namespace normgraph::kernel::simd
