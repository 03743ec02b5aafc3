#pragma once

#include <cstddef>
#include <cstdint>

#include "streaming_pass.hpp"
#include "tensor_sets.hpp"

namespace normgraph::measurement {

/// Streams the tensors of a set once: the last one is written, the one or two others are read; of
/// four, the first two are read, and the last two written. At most `num_threads` threads share the
/// work, fewer that of small tensors.
void stream(StreamingPass::Function pass, const TensorSet& set, std::size_t tensor_count,
            std::int64_t num_threads);

}  // namespace normgraph::measurement
