#pragma once

#include <span>
#include <string_view>

#include "binding/jax/ffi.hpp"

/// The family's kernels as handlers of XLA's FFI, on the buffers of a jitted function and the
/// threads of normgraph's own pool. They never wait for XLA's threads: a handler that does hangs
/// where all of those run handlers.
namespace normgraph::binding::jax {

/// A function that XLA calls by its name.
struct Target {
    std::string_view name;
    ffi::Handler* handler;
};

/// The handler of each of runtime::kernel_calls(), in their order, named by the class of its op.
///
/// Arguments are the inputs of the op that are there, results the outputs that are wanted, both in
/// the op's order. Attributes: `epsilon` and, if there is one, `upper_bound` (f64); `channel_axis`;
/// `inputs` and `outputs`, a bit for each that is there (s64); `rank`, that of the data of one
/// problem, before which stand the axes of a batch of them, as vmap adds them; `count` (s64, 0
/// where it is that of the input), see op::BatchNormAttributes.
///
/// Statistics may be doubles as pairs of u32, see Operand.
std::span<const Target> kernel_targets();

/// What JAX's own operations cannot do with doubles of which they have the bits alone, pairs of u32
/// along the last axis: RoundDoubles, (u32 (…, 2)) -> f32 or f64 (…), and WidenToDoubles, the other
/// way.
std::span<const Target> conversion_targets();

}  // namespace normgraph::binding::jax
