#pragma once

#include <cstddef>

/// The least that any implementation must do with the tensors: move each of them once.
namespace normgraph::measurement {

/// Reads `first` (and `second`, unless it is null) and writes `result`, `size` bytes each; `size`
/// is a multiple of 64, all addresses are aligned to 64 bytes. With two sources the result is their
/// sum, so that no load can be left out.
struct StreamingPass {
    using Function = void (*)(const std::byte* first, const std::byte* second, std::byte* result,
                              std::size_t size);
    const char* name;
    Function normal_stores;
    Function non_temporal_stores;
};

/// The pass with the widest vectors that this machine runs.
const StreamingPass& widest_streaming_pass();

}  // namespace normgraph::measurement
