#if defined(__x86_64__) || defined(_M_X64)

#include "normgraph/kernel/simd/instruction_sets/avx2.hpp"
#include "normgraph/kernel/simd/tables/make_table.hpp"
#include "normgraph/kernel/simd/tables/tables.hpp"

namespace normgraph::kernel::simd {

namespace {

constexpr MicroKernelsByType micro_kernels_by_type = make_micro_kernels<Avx2>();

}  // namespace

const MicroKernelTable avx2_table = make_table<Avx2>(micro_kernels_by_type);

}  // namespace normgraph::kernel::simd

#endif
