#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/simd/wide.hpp"

namespace normgraph::kernel::simd {

/// 512 bits: AVX-512 F, BW, DQ and VL.
struct Avx512 {
    struct Float {
        __m512 value;
        friend Float operator+(Float a, Float b) { return {_mm512_add_ps(a.value, b.value)}; }
        friend Float operator-(Float a, Float b) { return {_mm512_sub_ps(a.value, b.value)}; }
        friend Float operator*(Float a, Float b) { return {_mm512_mul_ps(a.value, b.value)}; }
        friend Float operator/(Float a, Float b) { return {_mm512_div_ps(a.value, b.value)}; }
    };
    struct Double {
        __m512d value;
        friend Double operator+(Double a, Double b) { return {_mm512_add_pd(a.value, b.value)}; }
        friend Double operator-(Double a, Double b) { return {_mm512_sub_pd(a.value, b.value)}; }
        friend Double operator*(Double a, Double b) { return {_mm512_mul_pd(a.value, b.value)}; }
        friend Double operator/(Double a, Double b) { return {_mm512_div_pd(a.value, b.value)}; }
    };
    static constexpr std::int64_t float_width = 16;
    static constexpr std::int64_t double_width = 8;

    static Float broadcast(float value) { return {_mm512_set1_ps(value)}; }
    static Double broadcast(double value) { return {_mm512_set1_pd(value)}; }

    static Float load(const float* address) { return {_mm512_loadu_ps(address)}; }
    static Double load(const double* address) { return {_mm512_loadu_pd(address)}; }
    static Float load(const bfloat16* address) {
        const __m512i bits = _mm512_cvtepu16_epi32(load_half(address));
        return {_mm512_castsi512_ps(_mm512_slli_epi32(bits, 16))};
    }
    static Float load(const float16* address) { return {_mm512_cvtph_ps(load_half(address))}; }

    static Wide<Double> widen(Float v) {
        return {{_mm512_cvtps_pd(_mm512_castps512_ps256(v.value))},
                {_mm512_cvtps_pd(_mm512_extractf32x8_ps(v.value, 1))}};
    }
    /// Rounds to nearest, ties to even.
    static Float narrow(const Wide<Double>& v) {
        return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(v.low.value)),
                                   _mm512_cvtpd_ps(v.high.value), 1)};
    }
    static Float square_root(Float v) { return {_mm512_sqrt_ps(v.value)}; }
    static Double square_root(Double v) { return {_mm512_sqrt_pd(v.value)}; }

    static Wide<Double> load_wide(const float* address) {
        return {{_mm512_cvtps_pd(_mm256_loadu_ps(address))},
                {_mm512_cvtps_pd(_mm256_loadu_ps(address + 8))}};
    }

    static void store(float* address, Float v) { _mm512_storeu_ps(address, v.value); }
    static void store(double* address, Double v) { _mm512_storeu_pd(address, v.value); }
    static void store(bfloat16* address, Float v) { store_half(address, to_bfloat16(v)); }
    static void store(float16* address, Float v) { store_half(address, to_float16(v)); }

    static void stream(float* address, Float v) { _mm512_stream_ps(address, v.value); }
    static void stream(double* address, Double v) { _mm512_stream_pd(address, v.value); }
    static void stream(bfloat16* address, Float v) { stream_half(address, to_bfloat16(v)); }
    static void stream(float16* address, Float v) { stream_half(address, to_float16(v)); }

    // In part: the first `count` elements.
    static Float load_some(const float* address, std::int64_t count) {
        return {_mm512_maskz_loadu_ps(first16(count), address)};
    }
    static Double load_some(const double* address, std::int64_t count) {
        return {_mm512_maskz_loadu_pd(static_cast<__mmask8>(first16(count)), address)};
    }
    static Float load_some(const bfloat16* address, std::int64_t count) {
        const __m512i bits = _mm512_cvtepu16_epi32(load_half_some(address, count));
        return {_mm512_castsi512_ps(_mm512_slli_epi32(bits, 16))};
    }
    static Float load_some(const float16* address, std::int64_t count) {
        return {_mm512_cvtph_ps(load_half_some(address, count))};
    }
    static void store_some(float* address, Float v, std::int64_t count) {
        _mm512_mask_storeu_ps(address, first16(count), v.value);
    }
    static void store_some(double* address, Double v, std::int64_t count) {
        _mm512_mask_storeu_pd(address, static_cast<__mmask8>(first16(count)), v.value);
    }
    static void store_some(bfloat16* address, Float v, std::int64_t count) {
        _mm256_mask_storeu_epi16(address, first16(count), to_bfloat16(v));
    }
    static void store_some(float16* address, Float v, std::int64_t count) {
        _mm256_mask_storeu_epi16(address, first16(count), to_float16(v));
    }

    /// The lanes whose bit is set; +0 in the others.
    static Float keep(Float v, std::uint32_t bits) {
        return {_mm512_maskz_mov_ps(static_cast<__mmask16>(bits), v.value)};
    }
    static Double keep(Double v, std::uint32_t bits) {
        return {_mm512_maskz_mov_pd(static_cast<__mmask8>(bits), v.value)};
    }

    /// A bit per lane: not a <= b, so set where one is NaN.
    static std::uint32_t not_less_equal(Float a, Float b) {
        return _mm512_cmp_ps_mask(a.value, b.value, _CMP_NLE_UQ);
    }
    static std::uint32_t not_less_equal(Double a, Double b) {
        return _mm512_cmp_pd_mask(a.value, b.value, _CMP_NLE_UQ);
    }

    static void prefetch(const std::byte* address) {
        _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0);
    }

private:
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

    // As kernel::to_bfloat16, for NaNs whose lower half rounding does not carry out of (see
    // GroupValues). Not vcvtneps2bf16, which flushes denormals.
    static __m256i to_bfloat16(Float v) {
        const __m512i bits = _mm512_castps_si512(v.value);
        const __m512i upper = _mm512_srli_epi32(bits, 16);
        const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
        const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
        const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
        return _mm512_cvtepi32_epi16(rounded);
    }
    static __m256i to_float16(Float v) {
        return _mm512_cvtps_ph(v.value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }
};

}  // namespace normgraph::kernel::simd
