#if defined(__aarch64__)

#include "normgraph/kernel/simd/instruction_sets/neon.hpp"
#include "normgraph/kernel/simd/tables/make_table.hpp"
#include "normgraph/kernel/simd/tables/tables.hpp"

namespace normgraph::kernel::simd {

namespace {

constexpr MicroKernelsByType micro_kernels_by_type = make_micro_kernels<Neon>();

}  // namespace

const MicroKernelTable neon_table = make_table<Neon>(micro_kernels_by_type);

}  // namespace normgraph::kernel::simd

#endif
