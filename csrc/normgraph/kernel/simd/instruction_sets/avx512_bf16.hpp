#pragma once

#include <immintrin.h>

#include <cstdint>

#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/simd/instruction_sets/avx512.hpp"

namespace normgraph::kernel::simd {

/// AVX-512 with the processor's own conversion to bf16, AVX512_BF16.
///
/// vcvtneps2bf16 rounds to nearest even, but takes denormal numbers for zeros, whatever the
/// floating-point environment: of a vector that holds one, all elements are converted as without
/// it. (A normal number never becomes a denormal one, since float has the range of bf16.) vdpbf16ps
/// is not used: it flushes denormal sums.
struct Avx512Bf16 : Avx512 {
    using Avx512::store;
    using Avx512::store_some;
    using Avx512::stream;

    static void store(bfloat16* address, Float v) { store_half(address, to_bfloat16(v)); }
    static void stream(bfloat16* address, Float v) { stream_half(address, to_bfloat16(v)); }
    static void store_some(bfloat16* address, Float v, std::int64_t count) {
        _mm256_mask_storeu_epi16(address, first16(count), to_bfloat16(v));
    }

private:
    static __m256i to_bfloat16(Float v) {
        constexpr int denormal = 0x20;
        if (_mm512_fpclass_ps_mask(v.value, denormal) != 0) [[unlikely]] {
            return Avx512::to_bfloat16(v);
        }
        return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v.value));
    }
};

}  // namespace normgraph::kernel::simd
