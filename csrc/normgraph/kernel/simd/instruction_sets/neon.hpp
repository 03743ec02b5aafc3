#pragma once

#include <arm_neon.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/simd/instruction_sets/inlining.hpp"
#include "normgraph/kernel/simd/instruction_sets/wide.hpp"

namespace normgraph::kernel::simd {

/// 128 bits: what every AArch64 processor has.
struct Neon {
    struct Float {
        float32x4_t value;
        friend Float operator+(Float a, Float b) { return {vaddq_f32(a.value, b.value)}; }
        friend Float operator-(Float a, Float b) { return {vsubq_f32(a.value, b.value)}; }
        friend Float operator*(Float a, Float b) { return {vmulq_f32(a.value, b.value)}; }
        friend Float operator/(Float a, Float b) { return {vdivq_f32(a.value, b.value)}; }
        friend Float fused_multiply_add(Float a, Float b, Float c) {
            return {vfmaq_f32(c.value, a.value, b.value)};
        }
    };
    struct Double {
        float64x2_t value;
        friend Double operator+(Double a, Double b) { return {vaddq_f64(a.value, b.value)}; }
        friend Double operator-(Double a, Double b) { return {vsubq_f64(a.value, b.value)}; }
        friend Double operator*(Double a, Double b) { return {vmulq_f64(a.value, b.value)}; }
        friend Double operator/(Double a, Double b) { return {vdivq_f64(a.value, b.value)}; }
        friend Double fused_multiply_add(Double a, Double b, Double c) {
            return {vfmaq_f64(c.value, a.value, b.value)};
        }
    };
    static constexpr std::int64_t float_width = 4;
    static constexpr std::int64_t double_width = 2;

    static Float broadcast(float value) { return {vdupq_n_f32(value)}; }
    static Double broadcast(double value) { return {vdupq_n_f64(value)}; }

    static Float load(const float* address) { return {vld1q_f32(address)}; }
    static Double load(const double* address) { return {vld1q_f64(address)}; }
    static Float load(const bfloat16* address) {
        return {vreinterpretq_f32_u32(vshll_n_u16(load_half(address), 16))};
    }
    static Float load(const float16* address) {
        return {vcvt_f32_f16(vreinterpret_f16_u16(load_half(address)))};
    }

    static Wide<Double> widen(Float v) {
        return {{{vcvt_f64_f32(vget_low_f32(v.value))}, {vcvt_high_f64_f32(v.value)}}};
    }
    /// Rounds to nearest, ties to even.
    static Float narrow(const Wide<Double>& v) {
        return {vcvt_high_f32_f64(vcvt_f32_f64(v[0].value), v[1].value)};
    }
    static Float square_root(Float v) { return {vsqrtq_f32(v.value)}; }
    static Double square_root(Double v) { return {vsqrtq_f64(v.value)}; }
    // Not vminq, which is NaN where one is.
    static Float minimum(Float a, Float b) {
        return {vbslq_f32(vcltq_f32(a.value, b.value), a.value, b.value)};
    }
    static Double minimum(Double a, Double b) {
        return {vbslq_f64(vcltq_f64(a.value, b.value), a.value, b.value)};
    }
    static Float maximum(Float a, Float b) { return {vmaxq_f32(a.value, b.value)}; }
    static Double maximum(Double a, Double b) { return {vmaxq_f64(a.value, b.value)}; }

    static Wide<Double> load_wide(const float* address) { return widen(load(address)); }

    static void store(float* address, Float v) { vst1q_f32(address, v.value); }
    static void store(double* address, Double v) { vst1q_f64(address, v.value); }
    static void store(bfloat16* address, Float v) { store_half(address, to_bfloat16(v)); }
    static void store(float16* address, Float v) {
        store_half(address, vreinterpret_u16_f16(vcvt_f16_f32(v.value)));
    }

    // There is no non-temporal store of one vector.
    template <typename Data, typename Vector>
    static void stream(Data* address, Vector v) {
        store(address, v);
    }

    /// The lanes whose bit is set; +0 in the others.
    static Float zero_mask(Float v, std::uint32_t bits) {
        const uint32x4_t lanes = {1, 2, 4, 8};
        const uint32x4_t is_set = vtstq_u32(vdupq_n_u32(bits), lanes);
        return {vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v.value), is_set))};
    }
    static Double zero_mask(Double v, std::uint32_t bits) {
        const uint64x2_t lanes = {1, 2};
        const uint64x2_t is_set = vtstq_u64(vdupq_n_u64(bits), lanes);
        return {vreinterpretq_f64_u64(vandq_u64(vreinterpretq_u64_f64(v.value), is_set))};
    }

    /// A bit per lane: not a <= b, so set where one is NaN.
    static std::uint32_t not_less_equal(Float a, Float b) {
        const uint32x4_t lanes = {1, 2, 4, 8};
        return vaddvq_u32(vbicq_u32(lanes, vcleq_f32(a.value, b.value)));
    }
    static std::uint32_t not_less_equal(Double a, Double b) {
        const uint64x2_t lanes = {1, 2};
        return static_cast<std::uint32_t>(
            vaddvq_u64(vbicq_u64(lanes, vcleq_f64(a.value, b.value))));
    }

    NORMGRAPH_ALWAYS_INLINE static void prefetch(const std::byte* address) {
        __builtin_prefetch(address);
    }
    /// To the L2 cache.
    NORMGRAPH_ALWAYS_INLINE static void prefetch_far(const std::byte* address) {
        __builtin_prefetch(address, 0, 2);
    }

    /// 16 bytes of any elements.
    struct Bytes {
        uint8x16_t bits;
    };
    static Bytes load_bytes(const std::byte* address) {
        return {vld1q_u8(reinterpret_cast<const std::uint8_t*>(address))};
    }
    static void store_bytes(std::byte* address, Bytes v) {
        vst1q_u8(reinterpret_cast<std::uint8_t*>(address), v.bits);
    }
    static void stream_bytes(std::byte* address, Bytes v) { store_bytes(address, v); }
    static void finish_streams() {}

    template <std::size_t size>
    struct Rearranged;

private:
    static uint16x4_t load_half(const void* address) {
        return vld1_u16(static_cast<const std::uint16_t*>(address));
    }
    static void store_half(void* address, uint16x4_t bits) {
        vst1_u16(static_cast<std::uint16_t*>(address), bits);
    }

    // As kernel::to_bfloat16, for NaNs whose lower half rounding does not carry out of (see
    // GroupValues).
    static uint16x4_t to_bfloat16(Float v) {
        const uint32x4_t bits = vreinterpretq_u32_f32(v.value);
        const uint32x4_t upper = vshrq_n_u32(bits, 16);
        const uint32x4_t odd = vandq_u32(upper, vdupq_n_u32(1));
        const uint32x4_t half = vaddq_u32(odd, vdupq_n_u32(0x7FFF));
        const uint32x4_t rounded = vshrq_n_u32(vaddq_u32(bits, half), 16);
        return vmovn_u32(rounded);
    }
};

template <>
struct Neon::Rearranged<8> {
    static Bytes backwards(Bytes v) { return {vextq_u8(v.bits, v.bits, 8)}; }
    static Bytes even(Bytes a, Bytes b) {
        return {vreinterpretq_u8_u64(vuzp1q_u64(as_elements(a), as_elements(b)))};
    }
    static Bytes odd(Bytes a, Bytes b) {
        return {vreinterpretq_u8_u64(vuzp2q_u64(as_elements(a), as_elements(b)))};
    }
    static void transpose(std::array<Bytes, 2>& rows) {
        rows = {even(rows[0], rows[1]), odd(rows[0], rows[1])};
    }

private:
    static uint64x2_t as_elements(Bytes v) { return vreinterpretq_u64_u8(v.bits); }
};

template <>
struct Neon::Rearranged<4> {
    static Bytes backwards(Bytes v) {
        return Rearranged<8>::backwards({vreinterpretq_u8_u32(vrev64q_u32(as_elements(v)))});
    }
    static Bytes even(Bytes a, Bytes b) {
        return {vreinterpretq_u8_u32(vuzp1q_u32(as_elements(a), as_elements(b)))};
    }
    static Bytes odd(Bytes a, Bytes b) {
        return {vreinterpretq_u8_u32(vuzp2q_u32(as_elements(a), as_elements(b)))};
    }
    static void transpose(std::array<Bytes, 4>& rows) {
        const std::array<Bytes, 4> all = rows;
        transpose(all, rows.data());
    }
    static void transpose(const std::array<Bytes, 4>& rows, Bytes* columns) {
        using Halves = Rearranged<8>;
        const Bytes low01 = low(rows[0], rows[1]), high01 = high(rows[0], rows[1]);
        const Bytes low23 = low(rows[2], rows[3]), high23 = high(rows[2], rows[3]);
        columns[0] = Halves::even(low01, low23);
        columns[1] = Halves::odd(low01, low23);
        columns[2] = Halves::even(high01, high23);
        columns[3] = Halves::odd(high01, high23);
    }

private:
    static uint32x4_t as_elements(Bytes v) { return vreinterpretq_u32_u8(v.bits); }
    static Bytes low(Bytes a, Bytes b) {
        return {vreinterpretq_u8_u32(vzip1q_u32(as_elements(a), as_elements(b)))};
    }
    static Bytes high(Bytes a, Bytes b) {
        return {vreinterpretq_u8_u32(vzip2q_u32(as_elements(a), as_elements(b)))};
    }
};

template <>
struct Neon::Rearranged<2> {
    static Bytes backwards(Bytes v) {
        return Rearranged<8>::backwards({vreinterpretq_u8_u16(vrev64q_u16(as_elements(v)))});
    }
    static Bytes even(Bytes a, Bytes b) {
        return {vreinterpretq_u8_u16(vuzp1q_u16(as_elements(a), as_elements(b)))};
    }
    static Bytes odd(Bytes a, Bytes b) {
        return {vreinterpretq_u8_u16(vuzp2q_u16(as_elements(a), as_elements(b)))};
    }
    static void transpose(std::array<Bytes, 8>& rows) {
        std::array<Bytes, 4> low, high;
        for (std::size_t i = 0; i < 4; ++i) {
            const uint16x8_t first = as_elements(rows[2 * i]),
                             second = as_elements(rows[2 * i + 1]);
            low[i] = {vreinterpretq_u8_u16(vzip1q_u16(first, second))};
            high[i] = {vreinterpretq_u8_u16(vzip2q_u16(first, second))};
        }
        Rearranged<4>::transpose(low, rows.data());
        Rearranged<4>::transpose(high, rows.data() + 4);
    }

private:
    static uint16x8_t as_elements(Bytes v) { return vreinterpretq_u16_u8(v.bits); }
};

}  // namespace normgraph::kernel::simd
