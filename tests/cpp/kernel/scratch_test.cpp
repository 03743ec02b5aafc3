#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <new>

#include "normgraph/kernel/simd/staging/scratch.hpp"

namespace normgraph::kernel::simd {
namespace {

/// More than there is, and yet a size that an array can have.
constexpr std::size_t too_much = std::size_t{1} << 60;

TEST(Scratch, IsWholeAfterThereWasNoMemoryToMakeItLarger) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the allocator of a sanitizer ends the process";
#endif
    Scratch scratch;
    scratch.reserve(256);
    ASSERT_NE(scratch.take<std::byte>(256), nullptr);
    EXPECT_THROW(scratch.reserve(too_much), std::bad_alloc);
    scratch.reserve(128);
    std::byte* const memory = scratch.take<std::byte>(128);
    ASSERT_NE(memory, nullptr);
    memory[127] = std::byte{1};
}

}  // namespace
}  // namespace normgraph::kernel::simd
