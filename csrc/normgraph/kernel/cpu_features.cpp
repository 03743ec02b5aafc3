#include "normgraph/kernel/cpu_features.hpp"

namespace normgraph::kernel {

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)

// These look at what the operating system saves (XGETBV) as well.
bool has_avx2() {
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("f16c") != 0;
}

bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") != 0 &&
           __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
           __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("fma") != 0;
}

#else

bool has_avx2() {
    return false;
}

bool has_avx512() {
    return false;
}

#endif

}  // namespace normgraph::kernel
