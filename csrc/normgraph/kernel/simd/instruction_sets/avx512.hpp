#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/simd/instruction_sets/inlining.hpp"
#include "normgraph/kernel/simd/instruction_sets/wide.hpp"

namespace normgraph::kernel::simd {

/// 512 bits, doubles 256: AVX-512 F, BW, DQ and VL, and FMA.
struct Avx512 {
    struct Float {
        __m512 value;
        friend Float operator+(Float a, Float b) { return {_mm512_add_ps(a.value, b.value)}; }
        friend Float operator-(Float a, Float b) { return {_mm512_sub_ps(a.value, b.value)}; }
        friend Float operator*(Float a, Float b) { return {_mm512_mul_ps(a.value, b.value)}; }
        friend Float operator/(Float a, Float b) { return {_mm512_div_ps(a.value, b.value)}; }
        friend Float fused_multiply_add(Float a, Float b, Float c) {
            return {_mm512_fmadd_ps(a.value, b.value, c.value)};
        }
    };
    /// 256 bits: Zen 4 converts to longer ones at two thirds of the speed, and keeps the units that
    /// multiply and those that add busy at once only with these.
    struct Double {
        __m256d value;
        friend Double operator+(Double a, Double b) { return {_mm256_add_pd(a.value, b.value)}; }
        friend Double operator-(Double a, Double b) { return {_mm256_sub_pd(a.value, b.value)}; }
        friend Double operator*(Double a, Double b) { return {_mm256_mul_pd(a.value, b.value)}; }
        friend Double operator/(Double a, Double b) { return {_mm256_div_pd(a.value, b.value)}; }
        friend Double fused_multiply_add(Double a, Double b, Double c) {
            return {_mm256_fmadd_pd(a.value, b.value, c.value)};
        }
    };
    static constexpr std::int64_t float_width = 16;
    static constexpr std::int64_t double_width = 4;
    using Doubles = Wide<Double, 4>;

    static Float broadcast(float value) { return {_mm512_set1_ps(value)}; }
    static Double broadcast(double value) { return {_mm256_set1_pd(value)}; }

    static Float load(const float* address) { return {_mm512_loadu_ps(address)}; }
    static Double load(const double* address) { return {_mm256_loadu_pd(address)}; }
    static Float load(const bfloat16* address) { return from_bfloat16(load_half(address)); }
    static Float load(const float16* address) { return {_mm512_cvtph_ps(load_half(address))}; }

    static Doubles widen(Float v) {
        return {{{_mm256_cvtps_pd(_mm512_castps512_ps128(v.value))},
                 {_mm256_cvtps_pd(_mm512_extractf32x4_ps(v.value, 1))},
                 {_mm256_cvtps_pd(_mm512_extractf32x4_ps(v.value, 2))},
                 {_mm256_cvtps_pd(_mm512_extractf32x4_ps(v.value, 3))}}};
    }
    /// Rounds to nearest, ties to even.
    static Float narrow(const Doubles& v) {
        const __m256 low =
            _mm256_set_m128(_mm256_cvtpd_ps(v[1].value), _mm256_cvtpd_ps(v[0].value));
        const __m256 high =
            _mm256_set_m128(_mm256_cvtpd_ps(v[3].value), _mm256_cvtpd_ps(v[2].value));
        return {_mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1)};
    }
    static Float square_root(Float v) { return {_mm512_sqrt_ps(v.value)}; }
    static Double square_root(Double v) { return {_mm256_sqrt_pd(v.value)}; }
    static Float minimum(Float a, Float b) { return {_mm512_min_ps(a.value, b.value)}; }
    static Double minimum(Double a, Double b) { return {_mm256_min_pd(a.value, b.value)}; }
    static Float maximum(Float a, Float b) { return {_mm512_max_ps(a.value, b.value)}; }
    static Double maximum(Double a, Double b) { return {_mm256_max_pd(a.value, b.value)}; }

    static Doubles load_wide(const float* address) {
        return {{{_mm256_cvtps_pd(_mm_loadu_ps(address))},
                 {_mm256_cvtps_pd(_mm_loadu_ps(address + 4))},
                 {_mm256_cvtps_pd(_mm_loadu_ps(address + 8))},
                 {_mm256_cvtps_pd(_mm_loadu_ps(address + 12))}}};
    }
    static Doubles load_wide(const bfloat16* address) {
        const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(address));
        const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(address + 8));
        const __m128i zero = _mm_setzero_si128();
        return {{{widen_bits(_mm_unpacklo_epi16(zero, low))},
                 {widen_bits(_mm_unpackhi_epi16(zero, low))},
                 {widen_bits(_mm_unpacklo_epi16(zero, high))},
                 {widen_bits(_mm_unpackhi_epi16(zero, high))}}};
    }

    /// Loads as many elements as a vector of doubles has.
    static Double load_double(const float* address) {
        return {_mm256_cvtps_pd(_mm_loadu_ps(address))};
    }
    static Double load_double(const bfloat16* address) {
        const __m128i bits = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(address));
        return {widen_bits(_mm_unpacklo_epi16(_mm_setzero_si128(), bits))};
    }
    static Double load_double(const float16* address) {
        const __m128i bits = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(address));
        return {_mm256_cvtps_pd(_mm_cvtph_ps(bits))};
    }
    static Double load_double(const double* address) { return load(address); }

    static void store(float* address, Float v) { _mm512_storeu_ps(address, v.value); }
    static void store(double* address, Double v) { _mm256_storeu_pd(address, v.value); }
    static void store(bfloat16* address, Float v) { store_half(address, to_bfloat16(v)); }
    static void store(float16* address, Float v) { store_half(address, to_float16(v)); }

    static void stream(float* address, Float v) { _mm512_stream_ps(address, v.value); }
    static void stream(double* address, Double v) { _mm256_stream_pd(address, v.value); }
    static void stream(bfloat16* address, Float v) { stream_half(address, to_bfloat16(v)); }
    static void stream(float16* address, Float v) { stream_half(address, to_float16(v)); }

    // In part: the first `count` elements.
    static Float load_some(const float* address, std::int64_t count) {
        return {_mm512_maskz_loadu_ps(first16(count), address)};
    }
    static Double load_some(const double* address, std::int64_t count) {
        return {_mm256_maskz_loadu_pd(first4(count), address)};
    }
    static Float load_some(const bfloat16* address, std::int64_t count) {
        return from_bfloat16(load_half_some(address, count));
    }
    static Float load_some(const float16* address, std::int64_t count) {
        return {_mm512_cvtph_ps(load_half_some(address, count))};
    }
    static void store_some(float* address, Float v, std::int64_t count) {
        _mm512_mask_storeu_ps(address, first16(count), v.value);
    }
    static void store_some(double* address, Double v, std::int64_t count) {
        _mm256_mask_storeu_pd(address, first4(count), v.value);
    }
    static void store_some(bfloat16* address, Float v, std::int64_t count) {
        _mm256_mask_storeu_epi16(address, first16(count), to_bfloat16(v));
    }
    static void store_some(float16* address, Float v, std::int64_t count) {
        _mm256_mask_storeu_epi16(address, first16(count), to_float16(v));
    }

    /// total + term, exactly: the product with 1 is not rounded. Multiply-add units would be idle
    /// while the others convert and subtract (Zen 4 has separate ones).
    static Double accumulate(Double total, Double term) {
        return {_mm256_fmadd_pd(term.value, _mm256_set1_pd(1.0), total.value)};
    }

    /// The lanes whose bit is set; +0 in the others.
    static Float zero_mask(Float v, std::uint32_t bits) {
        return {_mm512_maskz_mov_ps(static_cast<__mmask16>(bits), v.value)};
    }
    static Double zero_mask(Double v, std::uint32_t bits) {
        return {_mm256_maskz_mov_pd(static_cast<__mmask8>(bits), v.value)};
    }

    /// A bit per lane: not a <= b, so set where one is NaN.
    static std::uint32_t not_less_equal(Float a, Float b) {
        return _mm512_cmp_ps_mask(a.value, b.value, _CMP_NLE_UQ);
    }
    static std::uint32_t not_less_equal(Double a, Double b) {
        return _mm256_cmp_pd_mask(a.value, b.value, _CMP_NLE_UQ);
    }

    NORMGRAPH_ALWAYS_INLINE static void prefetch(const std::byte* address) {
        _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0);
    }
    /// To the L2 cache, which waits for more lines at once than the L1 cache.
    NORMGRAPH_ALWAYS_INLINE static void prefetch_far(const std::byte* address) {
        _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T1);
    }

protected:
    static __mmask8 first4(std::int64_t count) {
        return static_cast<__mmask8>((std::uint32_t{1} << count) - 1);
    }
    static __mmask16 first16(std::int64_t count) {
        return static_cast<__mmask16>((std::uint32_t{1} << count) - 1);
    }
    static __m256i load_half_some(const void* address, std::int64_t count) {
        return _mm256_maskz_loadu_epi16(first16(count), address);
    }
    static __m256i load_half(const void* address) {
        return _mm256_loadu_si256(static_cast<const __m256i*>(address));
    }
    static void store_half(void* address, __m256i bits) {
        _mm256_storeu_si256(static_cast<__m256i*>(address), bits);
    }
    static void stream_half(void* address, __m256i bits) {
        _mm256_stream_si256(static_cast<__m256i*>(address), bits);
    }

    /// Each element becomes the upper half of a lane.
    static Float from_bfloat16(__m256i bits) {
        const __m512i to_upper_halves = _mm512_slli_epi32(lane_numbers(), 16);
        return {_mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xAAAAAAAA, to_upper_halves,
                                                                   _mm512_castsi256_si512(bits)))};
    }
    static __m512i lane_numbers() {
        return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    }
    static __m256d widen_bits(__m128i floats) { return _mm256_cvtps_pd(_mm_castsi128_ps(floats)); }

    // As kernel::to_bfloat16, for NaNs whose lower half rounding does not carry out of (see
    // GroupValues).
    static __m256i to_bfloat16(Float v) {
        const __m512i bits = _mm512_castps_si512(v.value);
        const __m512i upper = _mm512_srli_epi32(bits, 16);
        const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
        const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
        const __m512i rounded = _mm512_add_epi32(bits, half);
        const __m512i upper_halves =
            _mm512_setr_epi32(0x00030001, 0x00070005, 0x000B0009, 0x000F000D, 0x00130011,
                              0x00170015, 0x001B0019, 0x001F001D, 0, 0, 0, 0, 0, 0, 0, 0);
        return _mm512_castsi512_si256(_mm512_permutexvar_epi16(upper_halves, rounded));
    }
    static __m256i to_float16(Float v) {
        return _mm512_cvtps_ph(v.value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }
};

}  // namespace normgraph::kernel::simd
