#include "normgraph/kernel/cpu_features.hpp"

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define NORMGRAPH_READS_CPUID
#include <cpuid.h>

#include <atomic>
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

constexpr unsigned are_known = 1, avx2 = 2, avx512 = 4, avx512_bf16 = 8;

// The builtins look at what the operating system saves (XGETBV) as well.
unsigned read_features() {
    if (__builtin_cpu_supports("avx2") == 0 || __builtin_cpu_supports("fma") == 0 || !has_f16c()) {
        return are_known;
    }
    if (__builtin_cpu_supports("avx512f") == 0 || __builtin_cpu_supports("avx512bw") == 0 ||
        __builtin_cpu_supports("avx512dq") == 0 || __builtin_cpu_supports("avx512vl") == 0) {
        return are_known | avx2;
    }
    return are_known | avx2 | avx512 | (has_bf16_conversion() ? avx512_bf16 : 0);
}

/// Read once: to read is a trap in virtual machines, and takes longer there than a kernel does. No
/// function-local static: the child of a fork during its initialization would wait for ever.
bool has(unsigned feature) {
    static constinit std::atomic<unsigned> known{0};
    unsigned features = known.load(std::memory_order_relaxed);
    if (features == 0) {
        features = read_features();
        known.store(features, std::memory_order_relaxed);
    }
    return (features & feature) != 0;
}

}  // namespace

bool has_avx2() {
    return has(avx2);
}

bool has_avx512() {
    return has(avx512);
}

bool has_avx512_bf16() {
    return has(avx512_bf16);
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
