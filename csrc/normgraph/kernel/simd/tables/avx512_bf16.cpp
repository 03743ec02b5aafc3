#if defined(__x86_64__) || defined(_M_X64)

#include "normgraph/kernel/simd/instruction_sets/avx512_bf16.hpp"
#include "normgraph/kernel/simd/tables/make_table.hpp"
#include "normgraph/kernel/simd/tables/tables.hpp"

namespace normgraph::kernel::simd {
namespace {

constexpr MicroKernels bf16_micro_kernels = micro_kernels<Avx512Bf16, bfloat16>();

}  // namespace

/// For other element types it differs in nothing.
const MicroKernelTable avx512_bf16_table =
    make_table<Avx512Bf16>(avx512_micro_kernels, bf16_micro_kernels);

}  // namespace normgraph::kernel::simd

#endif
