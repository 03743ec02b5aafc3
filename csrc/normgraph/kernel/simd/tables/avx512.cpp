#if defined(__x86_64__) || defined(_M_X64)

#include "normgraph/kernel/simd/instruction_sets/avx512.hpp"
#include "normgraph/kernel/simd/tables/make_table.hpp"
#include "normgraph/kernel/simd/tables/tables.hpp"

namespace normgraph::kernel::simd {

const MicroKernelTable avx512_table = make_table<Avx512>();

}  // namespace normgraph::kernel::simd

#endif
