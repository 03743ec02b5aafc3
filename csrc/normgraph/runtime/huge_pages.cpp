#include "normgraph/runtime/huge_pages.hpp"

#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace normgraph::runtime {

#if defined(__linux__)

std::byte* map_huge_pages(std::size_t size) noexcept {
    // One huge page more than needed has a whole one somewhere; what is around it goes back.
    const std::size_t kept = whole_huge_pages(size);
    const std::size_t mapped = kept + huge_page;
    void* const memory =
        mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return nullptr;
    }
    auto* const begin = static_cast<std::byte*>(memory);
    const std::size_t before = whole_huge_pages(reinterpret_cast<std::uintptr_t>(begin)) -
                               reinterpret_cast<std::uintptr_t>(begin);
    std::byte* const address = begin + before;
    if (before > 0) {
        munmap(begin, before);
    }
    if (before < huge_page) {
        munmap(address + kept, huge_page - before);
    }
#if defined(MADV_HUGEPAGE)
    // Only a wish: systems without huge pages, or that never give them, refuse it.
    madvise(address, size / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    return address;
}

void unmap_huge_pages(std::byte* address, std::size_t size) noexcept {
    if (munmap(address, size) != 0) {
        // To divide a mapping needs an entry in the system's list of them, which may be full: then
        // the addresses stay, and the memory goes.
        madvise(address, size, MADV_DONTNEED);
    }
}

#else

std::byte* map_huge_pages(std::size_t /*size*/) noexcept {
    return nullptr;
}

void unmap_huge_pages(std::byte* /*address*/, std::size_t /*size*/) noexcept {}

#endif

}  // namespace normgraph::runtime
