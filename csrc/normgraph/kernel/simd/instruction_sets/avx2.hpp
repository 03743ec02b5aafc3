#pragma once

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/simd/instruction_sets/inlining.hpp"
#include "normgraph/kernel/simd/instruction_sets/wide.hpp"

namespace normgraph::kernel::simd {

/// 256 bits, with F16C's conversions and FMA.
struct Avx2 {
    struct Float {
        __m256 value;
        friend Float operator+(Float a, Float b) { return {_mm256_add_ps(a.value, b.value)}; }
        friend Float operator-(Float a, Float b) { return {_mm256_sub_ps(a.value, b.value)}; }
        friend Float operator*(Float a, Float b) { return {_mm256_mul_ps(a.value, b.value)}; }
        friend Float operator/(Float a, Float b) { return {_mm256_div_ps(a.value, b.value)}; }
        friend Float fused_multiply_add(Float a, Float b, Float c) {
            return {_mm256_fmadd_ps(a.value, b.value, c.value)};
        }
    };
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
    static constexpr std::int64_t float_width = 8;
    static constexpr std::int64_t double_width = 4;

    static Float broadcast(float value) { return {_mm256_set1_ps(value)}; }
    static Double broadcast(double value) { return {_mm256_set1_pd(value)}; }

    static Float load(const float* address) { return {_mm256_loadu_ps(address)}; }
    static Double load(const double* address) { return {_mm256_loadu_pd(address)}; }
    static Float load(const bfloat16* address) {
        const __m256i bits = _mm256_cvtepu16_epi32(load_half(address));
        return {_mm256_castsi256_ps(_mm256_slli_epi32(bits, 16))};
    }
    static Float load(const float16* address) { return {_mm256_cvtph_ps(load_half(address))}; }

    static Wide<Double> widen(Float v) {
        return {{{_mm256_cvtps_pd(_mm256_castps256_ps128(v.value))},
                 {_mm256_cvtps_pd(_mm256_extractf128_ps(v.value, 1))}}};
    }
    /// Rounds to nearest, ties to even.
    static Float narrow(const Wide<Double>& v) {
        return {_mm256_set_m128(_mm256_cvtpd_ps(v[1].value), _mm256_cvtpd_ps(v[0].value))};
    }
    static Float square_root(Float v) { return {_mm256_sqrt_ps(v.value)}; }
    static Double square_root(Double v) { return {_mm256_sqrt_pd(v.value)}; }
    static Float minimum(Float a, Float b) { return {_mm256_min_ps(a.value, b.value)}; }
    static Double minimum(Double a, Double b) { return {_mm256_min_pd(a.value, b.value)}; }
    static Float maximum(Float a, Float b) { return {_mm256_max_ps(a.value, b.value)}; }
    static Double maximum(Double a, Double b) { return {_mm256_max_pd(a.value, b.value)}; }

    static Wide<Double> load_wide(const float* address) {
        return {{{_mm256_cvtps_pd(_mm_loadu_ps(address))},
                 {_mm256_cvtps_pd(_mm_loadu_ps(address + 4))}}};
    }

    static void store(float* address, Float v) { _mm256_storeu_ps(address, v.value); }
    static void store(double* address, Double v) { _mm256_storeu_pd(address, v.value); }
    static void store(bfloat16* address, Float v) { store_half(address, to_bfloat16(v)); }
    static void store(float16* address, Float v) { store_half(address, to_float16(v)); }

    static void stream(float* address, Float v) { _mm256_stream_ps(address, v.value); }
    static void stream(double* address, Double v) { _mm256_stream_pd(address, v.value); }
    static void stream(bfloat16* address, Float v) { stream_half(address, to_bfloat16(v)); }
    static void stream(float16* address, Float v) { stream_half(address, to_float16(v)); }

    using Pair = std::array<Float, 2>;
    static Pair load_pair(const bfloat16* address) {
        const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(address));
        return {{{_mm256_castsi256_ps(_mm256_slli_epi32(bits, 16))},
                 {_mm256_castsi256_ps(_mm256_and_si256(bits, upper_halves()))}}};
    }
    static Pair load_pair(const float* address) {
        const __m256 first = _mm256_loadu_ps(address), second = _mm256_loadu_ps(address + 8);
        const __m256 low = _mm256_permute2f128_ps(first, second, 0x20);
        const __m256 high = _mm256_permute2f128_ps(first, second, 0x31);
        return {{{_mm256_shuffle_ps(low, high, 0x88)}, {_mm256_shuffle_ps(low, high, 0xDD)}}};
    }
    static Pair interleaved(const Pair& v) {
        const __m256 low = _mm256_unpacklo_ps(v[0].value, v[1].value);
        const __m256 high = _mm256_unpackhi_ps(v[0].value, v[1].value);
        return {
            {{_mm256_permute2f128_ps(low, high, 0x20)}, {_mm256_permute2f128_ps(low, high, 0x31)}}};
    }
    static void store_pair(bfloat16* address, const Pair& v) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(address), to_bfloat16(v));
    }
    static void stream_pair(bfloat16* address, const Pair& v) {
        _mm256_stream_si256(reinterpret_cast<__m256i*>(address), to_bfloat16(v));
    }

    /// The lanes whose bit is set; +0 in the others.
    static Float zero_mask(Float v, std::uint32_t bits) {
        const __m256i to_sign = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
        const __m256i signs = _mm256_sllv_epi32(_mm256_set1_epi32(static_cast<int>(bits)), to_sign);
        return {_mm256_and_ps(v.value, _mm256_castsi256_ps(_mm256_srai_epi32(signs, 31)))};
    }
    static Double zero_mask(Double v, std::uint32_t bits) {
        const __m256i to_sign = _mm256_setr_epi64x(63, 62, 61, 60);
        const __m256i signs = _mm256_sllv_epi64(_mm256_set1_epi64x(bits), to_sign);
        return {_mm256_blendv_pd(_mm256_setzero_pd(), v.value, _mm256_castsi256_pd(signs))};
    }

    /// A bit per lane: not a <= b, so set where one is NaN.
    static std::uint32_t not_less_equal(Float a, Float b) {
        return static_cast<std::uint32_t>(
            _mm256_movemask_ps(_mm256_cmp_ps(a.value, b.value, _CMP_NLE_UQ)));
    }
    static std::uint32_t not_less_equal(Double a, Double b) {
        return static_cast<std::uint32_t>(
            _mm256_movemask_pd(_mm256_cmp_pd(a.value, b.value, _CMP_NLE_UQ)));
    }

    NORMGRAPH_ALWAYS_INLINE static void prefetch(const std::byte* address) {
        _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0);
    }
    /// To the L2 cache, which waits for more lines at once than the L1 cache.
    NORMGRAPH_ALWAYS_INLINE static void prefetch_far(const std::byte* address) {
        _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T1);
    }

private:
    static __m128i load_half(const void* address) {
        return _mm_loadu_si128(static_cast<const __m128i*>(address));
    }
    static void store_half(void* address, __m128i bits) {
        _mm_storeu_si128(static_cast<__m128i*>(address), bits);
    }
    static void stream_half(void* address, __m128i bits) {
        _mm_stream_si128(static_cast<__m128i*>(address), bits);
    }

    // As kernel::to_bfloat16, for NaNs whose lower half rounding does not carry out of (see
    // GroupValues). Not AVX-512's vcvtneps2bf16, which flushes denormals.
    static __m128i to_bfloat16(Float v) {
        const __m256i rounded = _mm256_srli_epi32(rounded_to_upper_halves(v), 16);
        return _mm_packus_epi32(_mm256_castsi256_si128(rounded),
                                _mm256_extracti128_si256(rounded, 1));
    }
    static __m256i to_bfloat16(const Pair& v) {
        const __m256i even = _mm256_srli_epi32(rounded_to_upper_halves(v[0]), 16);
        return _mm256_blend_epi16(even, rounded_to_upper_halves(v[1]), 0xAA);
    }
    static __m256i rounded_to_upper_halves(Float v) {
        const __m256i bits = _mm256_castps_si256(v.value);
        const __m256i upper = _mm256_srli_epi32(bits, 16);
        const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
        const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF));
        return _mm256_add_epi32(bits, half);
    }
    static __m256i upper_halves() { return _mm256_set1_epi32(static_cast<int>(0xFFFF0000U)); }
    static __m128i to_float16(Float v) {
        return _mm256_cvtps_ph(v.value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }
};

}  // namespace normgraph::kernel::simd
