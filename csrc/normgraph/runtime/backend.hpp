#pragma once

#include <cstdint>

namespace normgraph::runtime {

/// What computes: `reference` runs the plain loops that state what the kernels mean, one node after
/// the other; `cpu` runs the best kernels, chains of element-wise operations block by block. Both
/// give the same bits.
enum class Backend : std::uint8_t { cpu, reference };

}  // namespace normgraph::runtime
