#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <string>

#include "normgraph/kernel/element_type.hpp"

namespace normgraph::kernel {

/// An element type in the name of a test.
inline std::string name_of(ElementType type) {
    constexpr std::array names{"f16", "bf16", "f32", "f64"};
    return names[static_cast<std::size_t>(type)];
}
inline std::string name_of_type(const ::testing::TestParamInfo<ElementType>& type) {
    return name_of(type.param);
}

}  // namespace normgraph::kernel
