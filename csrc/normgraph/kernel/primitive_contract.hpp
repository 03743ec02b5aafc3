#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/storage_type.hpp"

/// The arguments that a caller hands to the kernels of the primitive operations. As in contract.hpp
/// nothing here owns memory and kernels check nothing. Strides are in bytes, and any are taken.
namespace normgraph::kernel {

/// Operations on single elements. f16 and bf16 are computed in f32 and rounded once, to nearest
/// even; f32 and f64 in themselves.
enum class ElementWiseOperation : std::uint8_t {
    add,
    subtract,
    multiply,
    divide,
    minimum,        ///< second where second < first, else first (a NaN of first stays)
    relu_backprop,  ///< first, second: +0 where first <= 0, whatever second holds, else second
    negate,
    square_root,
    relu,     ///< +0 where first <= 0, else first (NaN stays)
    convert,  ///< to the result's type, rounded once, to nearest even
};

inline constexpr std::size_t binary_operation_count = 6;
inline constexpr std::size_t unary_operation_count = 3;

constexpr bool is_binary(ElementWiseOperation operation) {
    return static_cast<std::size_t>(operation) < binary_operation_count;
}

/// One operation of a program; values are named by their numbers.
struct ElementWiseInstruction {
    ElementWiseOperation operation;
    StorageType operand_type;
    StorageType result_type;  ///< operand_type, unless the operation is convert
    /// Equal numbers where there is one operand.
    std::array<std::int32_t, 2> operands;
    /// Where a block of the result may be kept until its last use: the last instruction that reads
    /// it, whose result may have the same slot; the end of the program if it is a target's value.
    /// 0 <= slot < slot_count.
    std::int32_t slot;
};

/// A tensor that a program reads: a stride of zero repeats a smaller one.
struct ElementWiseSource {
    StorageType type;
    ConstTensor tensor;
};

/// A tensor that a program writes. It may overlap a source in one way: both are C-contiguous at
/// the same address, have elements of the same size, and no later instruction than the one
/// that makes `value` reads the source.
struct ElementWiseTarget {
    std::int32_t value;
    Tensor tensor;
};

/// Operations on tensors of one shape, element by element. Sources are the values 0, 1, …;
/// instructions, in order, the next ones. An instruction reads values with smaller numbers.
struct ElementWiseProgram {
    std::span<const std::int64_t> shape;  ///< 64 axes at most longer than 1
    std::span<const ElementWiseSource> sources;
    std::span<const ElementWiseInstruction> instructions;
    std::span<const ElementWiseTarget> targets;
    std::int32_t slot_count;
};

/// result = the sum, or the mean, over all axes but the kept ones. Summed in the order of
/// PrimitiveSum, and rounded once. Of no elements the sum is +0 and the mean NaN.
struct SumArguments {
    std::span<const std::int64_t> shape;
    std::span<const std::int64_t> kept_axes;  ///< ascending, 0 <= axis < rank
    ElementType type;                         ///< of value and result
    ConstTensor value;
    Tensor result;  ///< one stride per kept axis; does not overlap value
    bool is_mean;
};

/// result[i, j] = Σ_k left[i, k] · right[k, j]. For each element the products are made and added in
/// double, in ascending order of k and from +0 on, and the sum is rounded once. That differs from
/// the exact value by at most (rows of k + 1) · 2^-53 · Σ|products|, and the rounding.
struct MatrixMultiplyArguments {
    std::int64_t rows, columns, depth;
    ElementType type;
    ConstTensor left;   ///< strides of i and k
    ConstTensor right;  ///< strides of k and j
    Tensor result;      ///< strides of i and j; overlaps neither
};

/// The bits of a ReluMask (relu_mask.hpp): 1 where activated is not 0 and has not reached the upper
/// bound, rounded to its type.
struct ReluMaskArguments {
    std::span<const std::int64_t> shape;
    std::int64_t channel_axis;  ///< 0 <= channel_axis < rank
    ElementType type;
    ConstTensor activated;
    ReluMask mask;
    double upper_bound = no_upper_bound;
};

/// result = delta where the mask's bit is 1, +0 elsewhere.
struct ReluMaskSelectArguments {
    std::span<const std::int64_t> shape;
    std::int64_t channel_axis;
    ElementType type;
    ConstTensor delta;
    ConstReluMask mask;
    Tensor result;  ///< may be exactly delta
};

/// The kernels of the primitive operations: each is named by its arguments.
template <template <typename...> typename List>
using PrimitiveKernels = List<ElementWiseProgram, SumArguments, MatrixMultiplyArguments,
                              ReluMaskArguments, ReluMaskSelectArguments>;

}  // namespace normgraph::kernel
