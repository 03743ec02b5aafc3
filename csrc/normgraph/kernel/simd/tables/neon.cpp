#if defined(__aarch64__)

#include "normgraph/kernel/simd/instruction_sets/neon.hpp"
#include "normgraph/kernel/simd/tables/make_table.hpp"
#include "normgraph/kernel/simd/tables/tables.hpp"

namespace normgraph::kernel::simd {

const MicroKernelTable neon_table = make_table<Neon>();

}  // namespace normgraph::kernel::simd

#endif
