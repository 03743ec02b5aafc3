#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "normgraph/ir/node.hpp"

namespace normgraph {

/// Makes outputs keys of unordered containers.
struct OutputHash {
    std::size_t operator()(const Output& output) const noexcept {
        // A node takes more bytes than it has outputs: no two outputs have the same sum.
        return std::hash<std::uintptr_t>{}(std::bit_cast<std::uintptr_t>(output.node().get()) +
                                           output.index());
    }
};

}  // namespace normgraph
