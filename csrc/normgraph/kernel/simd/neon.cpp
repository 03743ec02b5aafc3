#if defined(__aarch64__)

#include "normgraph/kernel/simd/make_table.hpp"
#include "normgraph/kernel/simd/tables.hpp"
#include "normgraph/kernel/simd/vector_neon.hpp"

namespace normgraph::kernel::simd {

const MicroKernelTable neon_table = make_table<Neon>();

}  // namespace normgraph::kernel::simd

#endif
