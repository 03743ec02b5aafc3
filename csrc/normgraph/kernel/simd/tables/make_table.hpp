#pragma once

#include "normgraph/kernel/simd/instruction_sets/instruction_set.hpp"
#include "normgraph/kernel/simd/micro_kernels/column_kernels.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/micro_kernels/node_kernels.hpp"
#include "normgraph/kernel/simd/micro_kernels/primitive_loops.hpp"
#include "normgraph/kernel/simd/micro_kernels/row_kernels.hpp"
#include "normgraph/kernel/simd/micro_kernels/shifts_of_block.hpp"

namespace normgraph::kernel::simd {

template <typename Isa, typename Data, typename Terms, Mask mask = Mask::none>
constexpr RowsAndColumns<Reduce> reduction() {
    return {RowReduction<Isa, Data, Terms, mask>::run,
            ColumnReduction<Isa, Data, Terms, mask>::run};
}

template <typename Isa, typename Data, typename Formula, Mask mask = Mask::none>
constexpr RowsAndColumns<Apply> application() {
    return {RowApplication<Isa, Data, Formula, mask>::run,
            ColumnApplication<Isa, Data, Formula, mask>::run};
}

template <typename Isa, typename Data>
constexpr MicroKernels micro_kernels() {
    return {
        .block_shifts = ShiftsOfBlock<Isa, Data>::run,
        .make_moments = NodeKernels<Isa>::template make_moments<Data>,
        .fold_rows = fold_rows<Isa, Data>,
        .add_chains = NodeKernels<Isa>::add_chains,
        .moments = reduction<Isa, Data, MomentTerms>(),
        .deltas = reduction<Isa, Data, DeltaTerms>(),
        .relu_deltas = reduction<Isa, Data, DeltaTerms, Mask::reads>(),
        .normalize = application<Isa, Data, Normalize>(),
        .normalize_relu = application<Isa, Data, Normalize, Mask::writes>(),
        .normalize_relu_to_bound =
            application<Isa, Data, NormalizeToBound, Mask::writes_to_bound>(),
        .normalize_add_relu_to_bound =
            application<Isa, Data, NormalizeAddToBound, Mask::writes_to_bound>(),
        .unmasked_normalize_relu_to_bound =
            application<Isa, Data, NormalizeToBound, Mask::applied_to_bound>(),
        .unmasked_normalize_add_relu_to_bound =
            application<Isa, Data, NormalizeAddToBound, Mask::applied_to_bound>(),
        .input_delta = application<Isa, Data, InputDelta>(),
        .scaled_input_delta = application<Isa, Data, ScaledInputDelta>(),
        .relu_input_delta = application<Isa, Data, InputDelta, Mask::reads>(),
        .scaled_relu_input_delta = application<Isa, Data, ScaledInputDelta, Mask::reads>(),
        .frozen_input_delta = application<Isa, Data, FrozenInputDelta>(),
        .select = application<Isa, Data, Unchanged, Mask::reads>(),
        .primitives = primitive_micro_kernels<Isa, Data>(),
    };
}

/// The micro-kernels of one instruction set that an element type has of its own.
template <InstructionSet Isa>
constexpr MicroKernelsByType make_micro_kernels() {
    return {micro_kernels<Isa, float16>(), micro_kernels<Isa, bfloat16>(),
            micro_kernels<Isa, float>(), micro_kernels<Isa, double>()};
}

/// The table of these and of all other micro-kernels, which are of the instruction set Isa.
template <InstructionSet Isa>
constexpr MicroKernelTable make_table(const MicroKernelsByType& by_type,
                                      const MicroKernels& of_bf16) {
    return {&by_type.f16,
            &of_bf16,
            &by_type.f32,
            &by_type.f64,
            ProductPiece<Isa>::run,
            NodeKernels<Isa>::merge_moments,
            {NodeKernels<Isa>::inverse_deviations, NodeKernels<Isa>::divide}};
}

template <InstructionSet Isa>
constexpr MicroKernelTable make_table(const MicroKernelsByType& by_type) {
    return make_table<Isa>(by_type, by_type.bf16);
}

}  // namespace normgraph::kernel::simd
