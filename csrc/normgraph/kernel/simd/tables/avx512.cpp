#if defined(__x86_64__) || defined(_M_X64)

#include "normgraph/kernel/simd/instruction_sets/avx512.hpp"
#include "normgraph/kernel/simd/tables/make_table.hpp"
#include "normgraph/kernel/simd/tables/tables.hpp"

namespace normgraph::kernel::simd {

const MicroKernelsByType avx512_micro_kernels = make_micro_kernels<Avx512>();
const MicroKernelTable avx512_table = make_table<Avx512>(avx512_micro_kernels);

}  // namespace normgraph::kernel::simd

#endif
