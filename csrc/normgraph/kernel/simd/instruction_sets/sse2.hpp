#pragma once

#include <emmintrin.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/fused_multiply_add.hpp"
#include "normgraph/kernel/simd/instruction_sets/inlining.hpp"
#include "normgraph/kernel/simd/instruction_sets/wide.hpp"

namespace normgraph::kernel::simd {

/// 128 bits: what every x86-64 processor has.
struct Sse2 {
    /// SSE2 has no fused operation, so the C library computes it for each lane.
    template <typename Scalar, typename Vector>
    static Vector fused_by_lanes(Vector a, Vector b, Vector c) {
        constexpr std::size_t lanes = sizeof(Vector) / sizeof(Scalar);
        using Lanes = std::array<Scalar, lanes>;
        const auto first = std::bit_cast<Lanes>(a), second = std::bit_cast<Lanes>(b);
        auto third = std::bit_cast<Lanes>(c);
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            third[lane] = kernel::fused_multiply_add(first[lane], second[lane], third[lane]);
        }
        return std::bit_cast<Vector>(third);
    }

    struct Float {
        __m128 value;
        friend Float operator+(Float a, Float b) { return {_mm_add_ps(a.value, b.value)}; }
        friend Float operator-(Float a, Float b) { return {_mm_sub_ps(a.value, b.value)}; }
        friend Float operator*(Float a, Float b) { return {_mm_mul_ps(a.value, b.value)}; }
        friend Float operator/(Float a, Float b) { return {_mm_div_ps(a.value, b.value)}; }
        friend Float fused_multiply_add(Float a, Float b, Float c) {
            return fused_by_lanes<float>(a, b, c);
        }
    };
    struct Double {
        __m128d value;
        friend Double operator+(Double a, Double b) { return {_mm_add_pd(a.value, b.value)}; }
        friend Double operator-(Double a, Double b) { return {_mm_sub_pd(a.value, b.value)}; }
        friend Double operator*(Double a, Double b) { return {_mm_mul_pd(a.value, b.value)}; }
        friend Double operator/(Double a, Double b) { return {_mm_div_pd(a.value, b.value)}; }
        friend Double fused_multiply_add(Double a, Double b, Double c) {
            return fused_by_lanes<double>(a, b, c);
        }
    };
    static constexpr std::int64_t float_width = 4;
    static constexpr std::int64_t double_width = 2;

    static Float broadcast(float value) { return {_mm_set1_ps(value)}; }
    static Double broadcast(double value) { return {_mm_set1_pd(value)}; }

    static Float load(const float* address) { return {_mm_loadu_ps(address)}; }
    static Double load(const double* address) { return {_mm_loadu_pd(address)}; }
    static Float load(const bfloat16* address) {
        return {_mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), load_half(address)))};
    }
    // As kernel::to_float.
    static Float load(const float16* address) {
        const __m128i bits = _mm_unpacklo_epi16(load_half(address), _mm_setzero_si128());
        const __m128i sign = _mm_slli_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x8000)), 16);
        const __m128i magnitude = _mm_and_si128(bits, _mm_set1_epi32(0x7FFF));
        const __m128i in_place = _mm_slli_epi32(magnitude, 13);
        const __m128 scaled = _mm_mul_ps(_mm_castsi128_ps(in_place), _mm_set1_ps(0x1p112F));
        const __m128i special = _mm_or_si128(in_place, _mm_set1_epi32(0x7F800000));
        const __m128i is_special = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7BFF));
        const __m128i chosen = select(is_special, special, _mm_castps_si128(scaled));
        return {_mm_castsi128_ps(_mm_or_si128(sign, chosen))};
    }

    static Wide<Double> widen(Float v) {
        return {{{_mm_cvtps_pd(v.value)}, {_mm_cvtps_pd(_mm_movehl_ps(v.value, v.value))}}};
    }
    /// Rounds to nearest, ties to even.
    static Float narrow(const Wide<Double>& v) {
        return {_mm_movelh_ps(_mm_cvtpd_ps(v[0].value), _mm_cvtpd_ps(v[1].value))};
    }
    static Float square_root(Float v) { return {_mm_sqrt_ps(v.value)}; }
    static Double square_root(Double v) { return {_mm_sqrt_pd(v.value)}; }
    static Float minimum(Float a, Float b) { return {_mm_min_ps(a.value, b.value)}; }
    static Double minimum(Double a, Double b) { return {_mm_min_pd(a.value, b.value)}; }
    static Float maximum(Float a, Float b) { return {_mm_max_ps(a.value, b.value)}; }
    static Double maximum(Double a, Double b) { return {_mm_max_pd(a.value, b.value)}; }

    static Wide<Double> load_wide(const float* address) { return widen(load(address)); }

    static void store(float* address, Float v) { _mm_storeu_ps(address, v.value); }
    static void store(double* address, Double v) { _mm_storeu_pd(address, v.value); }
    static void store(bfloat16* address, Float v) { store_half(address, to_bfloat16(v)); }
    static void store(float16* address, Float v) { store_half(address, to_float16(v)); }

    static void stream(float* address, Float v) { _mm_stream_ps(address, v.value); }
    static void stream(double* address, Double v) { _mm_stream_pd(address, v.value); }
    static void stream(bfloat16* address, Float v) { stream_half(address, to_bfloat16(v)); }
    static void stream(float16* address, Float v) { stream_half(address, to_float16(v)); }

    using Pair = std::array<Float, 2>;
    static Pair load_pair(const bfloat16* address) {
        const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(address));
        return {{{_mm_castsi128_ps(_mm_slli_epi32(bits, 16))},
                 {_mm_castsi128_ps(_mm_and_si128(bits, upper_halves()))}}};
    }
    static Pair load_pair(const float* address) {
        const __m128 low = _mm_loadu_ps(address), high = _mm_loadu_ps(address + 4);
        return {{{_mm_shuffle_ps(low, high, 0x88)}, {_mm_shuffle_ps(low, high, 0xDD)}}};
    }
    static Pair interleaved(const Pair& v) {
        return {
            {{_mm_unpacklo_ps(v[0].value, v[1].value)}, {_mm_unpackhi_ps(v[0].value, v[1].value)}}};
    }
    static void store_pair(bfloat16* address, const Pair& v) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(address), to_bfloat16(v));
    }
    static void stream_pair(bfloat16* address, const Pair& v) {
        _mm_stream_si128(reinterpret_cast<__m128i*>(address), to_bfloat16(v));
    }

    /// The lanes whose bit is set; +0 in the others.
    static Float zero_mask(Float v, std::uint32_t bits) {
        const __m128i lanes = _mm_setr_epi32(1, 2, 4, 8);
        return {_mm_and_ps(v.value, _mm_castsi128_ps(is_set(bits, lanes)))};
    }
    static Double zero_mask(Double v, std::uint32_t bits) {
        const __m128i lanes = _mm_setr_epi32(1, 1, 2, 2);
        return {_mm_and_pd(v.value, _mm_castsi128_pd(is_set(bits, lanes)))};
    }

    /// A bit per lane: not a <= b, so set where one is NaN.
    static std::uint32_t not_less_equal(Float a, Float b) {
        return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_cmpnle_ps(a.value, b.value)));
    }
    static std::uint32_t not_less_equal(Double a, Double b) {
        return static_cast<std::uint32_t>(_mm_movemask_pd(_mm_cmpnle_pd(a.value, b.value)));
    }

    NORMGRAPH_ALWAYS_INLINE static void prefetch(const std::byte* address) {
        _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0);
    }
    /// To the L2 cache, which waits for more lines at once than the L1 cache.
    NORMGRAPH_ALWAYS_INLINE static void prefetch_far(const std::byte* address) {
        _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T1);
    }

    /// 16 bytes of any elements. A type of its own, since arrays of __m128i would lose its
    /// alignment.
    struct Bytes {
        __m128i bits;
    };
    static Bytes load_bytes(const std::byte* address) {
        return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(address))};
    }
    static void store_bytes(std::byte* address, Bytes v) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(address), v.bits);
    }
    static void stream_bytes(std::byte* address, Bytes v) {
        _mm_stream_si128(reinterpret_cast<__m128i*>(address), v.bits);
    }
    static void finish_streams() { _mm_sfence(); }

    template <std::size_t size>
    struct Rearranged;

private:
    static __m128i load_half(const void* address) {
        return _mm_loadl_epi64(static_cast<const __m128i*>(address));
    }
    static void store_half(void* address, __m128i bits) {
        _mm_storel_epi64(static_cast<__m128i*>(address), bits);
    }
    static void stream_half(void* address, __m128i bits) {
        _mm_stream_si64(static_cast<long long*>(address), _mm_cvtsi128_si64(bits));
    }
    static __m128i select(__m128i mask, __m128i yes, __m128i no) {
        return _mm_or_si128(_mm_and_si128(mask, yes), _mm_andnot_si128(mask, no));
    }
    static __m128i is_set(std::uint32_t bits, __m128i lanes) {
        const __m128i all = _mm_set1_epi32(static_cast<int>(bits));
        return _mm_cmpeq_epi32(_mm_and_si128(all, lanes), lanes);
    }
    /// The lower halves of 32-bit lanes. SSE2 packs signed numbers only, so they are made such.
    static __m128i lower_halves(__m128i bits) {
        const __m128i extended = _mm_srai_epi32(_mm_slli_epi32(bits, 16), 16);
        return _mm_packs_epi32(extended, extended);
    }

    // As kernel::to_bfloat16, for NaNs whose lower half rounding does not carry out of (see
    // GroupValues).
    static __m128i to_bfloat16(Float v) {
        return lower_halves(_mm_srli_epi32(rounded_to_upper_halves(v), 16));
    }
    static __m128i to_bfloat16(const Pair& v) {
        const __m128i even = _mm_srli_epi32(rounded_to_upper_halves(v[0]), 16);
        return _mm_or_si128(even, _mm_and_si128(rounded_to_upper_halves(v[1]), upper_halves()));
    }
    static __m128i rounded_to_upper_halves(Float v) {
        const __m128i bits = _mm_castps_si128(v.value);
        const __m128i upper = _mm_srli_epi32(bits, 16);
        const __m128i odd = _mm_and_si128(upper, _mm_set1_epi32(1));
        const __m128i half = _mm_add_epi32(odd, _mm_set1_epi32(0x7FFF));
        return _mm_add_epi32(bits, half);
    }
    static __m128i upper_halves() { return _mm_set1_epi32(static_cast<int>(0xFFFF0000U)); }

    // As kernel::to_float16: NaN, overflow, what becomes a denormal, all others.
    static __m128i to_float16(Float v) {
        const __m128i bits = _mm_castps_si128(v.value);
        const __m128i sign = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(0x8000));
        const __m128i magnitude = _mm_and_si128(bits, _mm_set1_epi32(0x7FFFFFFF));
        const __m128i shifted = _mm_srli_epi32(magnitude, 13);
        const __m128i nan =
            _mm_or_si128(_mm_set1_epi32(0x7E00), _mm_and_si128(shifted, _mm_set1_epi32(0x3FF)));
        const __m128 half = _mm_set1_ps(0.5F);
        const __m128i small =
            _mm_sub_epi32(_mm_castps_si128(_mm_add_ps(_mm_castsi128_ps(magnitude), half)),
                          _mm_castps_si128(half));
        const __m128i odd = _mm_and_si128(shifted, _mm_set1_epi32(1));
        const __m128i to_round = _mm_add_epi32(odd, _mm_set1_epi32(0xFFF - (112 << 23)));
        const __m128i normal = _mm_srli_epi32(_mm_add_epi32(magnitude, to_round), 13);

        const __m128i is_small = _mm_cmplt_epi32(magnitude, _mm_set1_epi32(0x38800000));
        const __m128i is_large = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x477FFFFF));
        const __m128i is_nan = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7F800000));
        const __m128i finite = select(is_small, small, normal);
        const __m128i number = select(is_large, _mm_set1_epi32(0x7C00), finite);
        return lower_halves(_mm_or_si128(sign, select(is_nan, nan, number)));
    }
};

template <>
struct Sse2::Rearranged<8> {
    static Bytes backwards(Bytes v) { return {_mm_shuffle_epi32(v.bits, _MM_SHUFFLE(1, 0, 3, 2))}; }
    static Bytes even(Bytes a, Bytes b) { return {_mm_unpacklo_epi64(a.bits, b.bits)}; }
    static Bytes odd(Bytes a, Bytes b) { return {_mm_unpackhi_epi64(a.bits, b.bits)}; }
    static void transpose(std::array<Bytes, 2>& rows) {
        rows = {even(rows[0], rows[1]), odd(rows[0], rows[1])};
    }
};

template <>
struct Sse2::Rearranged<4> {
    static Bytes backwards(Bytes v) { return {_mm_shuffle_epi32(v.bits, _MM_SHUFFLE(0, 1, 2, 3))}; }
    static Bytes even(Bytes a, Bytes b) {
        return {_mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(a.bits), _mm_castsi128_ps(b.bits),
                                                _MM_SHUFFLE(2, 0, 2, 0)))};
    }
    static Bytes odd(Bytes a, Bytes b) {
        return {_mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(a.bits), _mm_castsi128_ps(b.bits),
                                                _MM_SHUFFLE(3, 1, 3, 1)))};
    }
    static void transpose(std::array<Bytes, 4>& rows) {
        const std::array<Bytes, 4> all = rows;
        transpose(all, rows.data());
    }
    static void transpose(const std::array<Bytes, 4>& rows, Bytes* columns) {
        using Halves = Rearranged<8>;
        const Bytes low01{_mm_unpacklo_epi32(rows[0].bits, rows[1].bits)};
        const Bytes high01{_mm_unpackhi_epi32(rows[0].bits, rows[1].bits)};
        const Bytes low23{_mm_unpacklo_epi32(rows[2].bits, rows[3].bits)};
        const Bytes high23{_mm_unpackhi_epi32(rows[2].bits, rows[3].bits)};
        columns[0] = Halves::even(low01, low23);
        columns[1] = Halves::odd(low01, low23);
        columns[2] = Halves::even(high01, high23);
        columns[3] = Halves::odd(high01, high23);
    }
};

template <>
struct Sse2::Rearranged<2> {
    static Bytes backwards(Bytes v) {
        const __m128i low = _mm_shufflelo_epi16(v.bits, _MM_SHUFFLE(0, 1, 2, 3));
        const __m128i both = _mm_shufflehi_epi16(low, _MM_SHUFFLE(0, 1, 2, 3));
        return {_mm_shuffle_epi32(both, _MM_SHUFFLE(1, 0, 3, 2))};
    }
    static Bytes even(Bytes a, Bytes b) {
        const auto extended = [](Bytes pairs) {
            return _mm_srai_epi32(_mm_slli_epi32(pairs.bits, 16), 16);
        };
        return {_mm_packs_epi32(extended(a), extended(b))};
    }
    static Bytes odd(Bytes a, Bytes b) {
        return {_mm_packs_epi32(_mm_srai_epi32(a.bits, 16), _mm_srai_epi32(b.bits, 16))};
    }
    static void transpose(std::array<Bytes, 8>& rows) {
        std::array<Bytes, 4> low, high;
        for (std::size_t i = 0; i < 4; ++i) {
            low[i] = {_mm_unpacklo_epi16(rows[2 * i].bits, rows[2 * i + 1].bits)};
            high[i] = {_mm_unpackhi_epi16(rows[2 * i].bits, rows[2 * i + 1].bits)};
        }
        Rearranged<4>::transpose(low, rows.data());
        Rearranged<4>::transpose(high, rows.data() + 4);
    }
};

}  // namespace normgraph::kernel::simd
