#pragma once

#include <span>

#include "binding/jax/handlers.hpp"

/// Handlers for a batch whose shards lie on several devices: see runtime::BatchPart.
namespace normgraph::binding::jax {

/// BatchStatistics: (input, gathered?) -> nodes, and BackpropSums: (input, mean, variance,
/// normalized_delta, mask?) -> nodes: the bytes of a shard's part, u8 (BatchPart::byte_count). With
/// `gathered`, the statistics of all shards, those of f64 data are summed about their mean.
///
/// CombinedStatistics and CombinedSums: (gathered) -> two vectors of doubles, u32 (C, 2): those of
/// the whole batch, of the bytes of all shards in their order, u8 (shards, size).
///
/// Attributes: `channel_axis` (s64), of all but the combined ones; `inputs` (s64), a bit for each
/// argument that is there.
std::span<const Target> shard_targets();

}  // namespace normgraph::binding::jax
