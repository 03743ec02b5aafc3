// What becomes of the pool's threads when the shared library that has them is closed.
#if defined(__linux__) || defined(__APPLE__)

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdint>

namespace normgraph::kernel {
namespace {

using SumOnThreads = std::int64_t(std::int64_t);

void* open_module(int more_flags = 0) {
    return dlopen(NORMGRAPH_UNLOADABLE_MODULE, RTLD_NOW | RTLD_LOCAL | more_flags);
}

std::int64_t sum_on_threads(void* module, std::int64_t count) {
    return reinterpret_cast<SumOnThreads*>(dlsym(module, "sum_on_threads"))(count);
}

TEST(ParallelFor, KeepsItsLibraryLoadedForItsThreads) {
    void* module = open_module();
    ASSERT_NE(module, nullptr) << dlerror();
    EXPECT_EQ(sum_on_threads(module, 1), 0);
    dlclose(module);
    if (open_module(RTLD_NOLOAD) != nullptr) {
        GTEST_SKIP() << "with this compiler and C library it is never unloaded";
    }

    module = open_module();
    ASSERT_NE(module, nullptr) << dlerror();
    EXPECT_EQ(sum_on_threads(module, 100), 4950);
    dlclose(module);
    module = open_module(RTLD_NOLOAD);
    ASSERT_NE(module, nullptr) << "the threads' code is gone";
    EXPECT_EQ(sum_on_threads(module, 100), 4950);
    dlclose(module);
}

}  // namespace
}  // namespace normgraph::kernel

#endif
