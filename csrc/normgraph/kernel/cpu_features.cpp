#include "normgraph/kernel/cpu_features.hpp"

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define NORMGRAPH_READS_CPUID
#include <cpuid.h>
#endif

namespace normgraph::kernel {

#if defined(NORMGRAPH_READS_CPUID)

namespace {

/// Clang learned this name for __builtin_cpu_supports late (18 refuses it). F16C needs no more of
/// the operating system than AVX2 does.
bool has_f16c() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

/// GCC and Clang differ in the name for __builtin_cpu_supports. It needs no more of the operating
/// system than AVX-512 does.
bool has_bf16_conversion() {
    constexpr unsigned avx512_bf16 = 1U << 5U;
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & avx512_bf16) != 0;
}

}  // namespace

// The builtins look at what the operating system saves (XGETBV) as well.
bool has_avx2() {
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && has_f16c();
}

bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") != 0 &&
           __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
           __builtin_cpu_supports("avx512vl") != 0;
}

bool has_avx512_bf16() {
    return has_avx512() && has_bf16_conversion();
}

#else

bool has_avx2() {
    return false;
}

bool has_avx512() {
    return false;
}

bool has_avx512_bf16() {
    return false;
}

#endif

}  // namespace normgraph::kernel
