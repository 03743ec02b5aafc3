#pragma once

#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/simd/staging/tensor_access.hpp"
#include "normgraph/kernel/simd/tiling/geometry.hpp"
#include "normgraph/kernel/simd/tiling/plan.hpp"

/// Copies of rows whose neighbours in memory belong to other rows, far away in the logical order
/// (Fortran order). Of a tile, which has one row, each element would have a cache line of its own.
namespace normgraph::kernel::simd {

/// Elements of some channels, and the same of rows that are `rows_per_step` further on, `steps`
/// times in all.
struct Slab {
    ChannelRange channels;
    BlockExtent extent;
    std::int64_t steps;
    std::int64_t rows_per_step;

    std::int64_t elements_per_row() const { return extent.end - extent.first; }
    std::int64_t elements_per_step() const {
        return (extent.row_end - extent.row) * (channels.end - channels.begin) * elements_per_row();
    }
};

/// Whether a tile would take short runs of such a tensor: what lies between them in memory belongs
/// to other rows, or to elements far away.
bool lies_across_rows(const TensorAccess& access);

/// The slabs that make whole cache lines of such a tensor; `sources` is left to the caller.
SlabDemands slab_demands_of(const Problem& problem, const Geometry& geometry,
                            const TensorAccess& access);

/// Copies a slab: [step][row][channel][element].
void copy_slab(const Geometry& geometry, const TensorAccess& access, const Slab& slab,
               std::byte* target);

}  // namespace normgraph::kernel::simd
