#pragma once

#include <cstddef>

/// Memory straight from the system, on huge pages where it has them.
namespace normgraph::runtime {

inline constexpr std::size_t huge_page = std::size_t{2} * 1024 * 1024;

/// Elsewhere than on Linux nothing is ever mapped.
#if defined(__linux__)
inline constexpr bool can_map_huge_pages = true;
#else
inline constexpr bool can_map_huge_pages = false;
#endif

/// `size` rounded up to whole huge pages.
constexpr std::size_t whole_huge_pages(std::size_t size) {
    return (size + huge_page - 1) / huge_page * huge_page;
}

/// New memory of whole_huge_pages(size) bytes, which begins at a huge page; null if there is none.
/// It takes real memory only where it is touched: what is left of the last huge page, behind
/// `size`, is on ordinary pages, so that it takes none.
std::byte* map_huge_pages(std::size_t size) noexcept;

/// Gives memory back: all that was mapped at once, or some whole huge pages of it.
void unmap_huge_pages(std::byte* address, std::size_t size) noexcept;

}  // namespace normgraph::runtime
