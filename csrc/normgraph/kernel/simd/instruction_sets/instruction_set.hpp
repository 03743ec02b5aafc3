#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/element_type.hpp"

/// The interface of an instruction set: a class without state, whose members are static.
namespace normgraph::kernel::simd {

/// Vectors of floats or doubles with the four operations and the fused one.
template <typename Vector>
concept ArithmeticVectorType = requires(Vector a, Vector b) {
    { a + b } -> std::same_as<Vector>;
    { a - b } -> std::same_as<Vector>;
    { a * b } -> std::same_as<Vector>;
    { a / b } -> std::same_as<Vector>;
    { fused_multiply_add(a, a, b) } -> std::same_as<Vector>;  // a·a + b, rounded once
};

/// Loads, stores and the operations of a mask for elements of one type, computed in `Vector`.
template <typename Isa, typename Vector, typename Data>
concept ElementsOf = requires(const Data* source, Data* target, Vector v) {
    { Isa::load(source) } -> std::same_as<Vector>;
    { Isa::store(target, v) };   // rounded to nearest, ties to even
    { Isa::stream(target, v) };  // a non-temporal store, if there is one; aligned
};

template <typename Isa, typename Vector, typename Scalar>
concept LanesOf = requires(Vector v, Scalar value, std::uint32_t bits) {
    { Isa::broadcast(value) } -> std::same_as<Vector>;
    { Isa::square_root(v) } -> std::same_as<Vector>;
    { Isa::minimum(v, v) } -> std::same_as<Vector>;       // a < b ? a : b, so b where one is NaN
    { Isa::maximum(v, v) } -> std::same_as<Vector>;       // of NaN: anything
    { Isa::zero_mask(v, bits) } -> std::same_as<Vector>;  // the lanes whose bit is set, else +0
    { Isa::not_less_equal(v, v) } -> std::same_as<std::uint32_t>;  // a bit per lane; set with NaN
};

/// Members that every instruction set must offer for the micro-kernels. It may offer more, which
/// are used where they are there, overloaded for some of the element types or for all:
/// - load_some(address, count), store_some(address, v, count): the first `count` elements;
/// - load_wide(address): float_width elements as doubles;
/// - load_double(address): double_width elements as doubles;
/// - accumulate(total, term): total + term, exactly, by a faster instruction;
/// - of 16-bit elements, load_pair(address), store_pair(address, pair), stream_pair(address, pair):
///   2·float_width elements as an array of two vectors, those of even number and those of odd
///   number. With these goes load_pair(address) of as many floats, and interleaved(pair): the
///   elements in their order, in two vectors. A 16-bit element is the upper or the lower half of a
///   lane then, so that nothing has to be moved from lane to lane.
template <typename Isa>
concept InstructionSet =
    ArithmeticVectorType<typename Isa::Float> && ArithmeticVectorType<typename Isa::Double> &&
    Isa::float_width % Isa::double_width == 0 && ElementsOf<Isa, typename Isa::Float, float16> &&
    ElementsOf<Isa, typename Isa::Float, bfloat16> && ElementsOf<Isa, typename Isa::Float, float> &&
    ElementsOf<Isa, typename Isa::Double, double> && LanesOf<Isa, typename Isa::Float, float> &&
    LanesOf<Isa, typename Isa::Double, double> &&
    requires(typename Isa::Float v, const std::byte* address) {
        { Isa::narrow(Isa::widen(v)) } -> std::same_as<typename Isa::Float>;
        { Isa::prefetch(address) };      // to the L1 cache
        { Isa::prefetch_far(address) };  // to the L2 cache
    };

/// How 16 bytes are rearranged that hold elements of `size` bytes.
template <typename Isa, std::size_t size>
concept Rearranges =
    requires(typename Isa::Bytes v, std::array<typename Isa::Bytes, 16 / size>& rows) {
        { Isa::template Rearranged<size>::backwards(v) } -> std::same_as<typename Isa::Bytes>;
        // The elements of even, or odd, number of two vectors.
        { Isa::template Rearranged<size>::even(v, v) } -> std::same_as<typename Isa::Bytes>;
        { Isa::template Rearranged<size>::odd(v, v) } -> std::same_as<typename Isa::Bytes>;
        // Row i of the block becomes its column i.
        { Isa::template Rearranged<size>::transpose(rows) };
    };

/// Members that the instruction set of all processors of an architecture offers for copies as well.
template <typename Isa>
concept CopyingInstructionSet =
    Rearranges<Isa, 2> && Rearranges<Isa, 4> && Rearranges<Isa, 8> &&
    requires(typename Isa::Bytes v, const std::byte* source, std::byte* target) {
        { Isa::load_bytes(source) } -> std::same_as<typename Isa::Bytes>;
        { Isa::store_bytes(target, v) };
        { Isa::stream_bytes(target, v) };  // a non-temporal store, if there is one; aligned
        { Isa::finish_streams() };
        { Isa::prefetch_far(source) };
    };

}  // namespace normgraph::kernel::simd
