#pragma once

#if defined(__x86_64__) || defined(_M_X64)
#include "normgraph/kernel/simd/instruction_sets/sse2.hpp"
#elif defined(__aarch64__)
#include "normgraph/kernel/simd/instruction_sets/neon.hpp"
#endif

namespace normgraph::kernel::simd {

/// The instruction set that every processor of this architecture has.
#if defined(__x86_64__) || defined(_M_X64)
using Baseline = Sse2;
#elif defined(__aarch64__)
using Baseline = Neon;
#else
struct Baseline {};
#endif

}  // namespace normgraph::kernel::simd
