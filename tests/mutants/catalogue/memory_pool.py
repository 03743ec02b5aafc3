"""The memory of large outputs: what is used again, what goes back, and when."""

from ..mutant import CPP_TESTS, Group, Mutant

RUNTIME = "csrc/normgraph/runtime/"
BINDING = "csrc/binding/"
TESTS = "tests/binding/test_memory_pool.py"

POOL = Group(
    RUNTIME + "memory_pool.cpp",
    CPP_TESTS,
    (
        Mutant(
            "pool-grows-beyond-the-peak",
            "that in use and free never exceed the peak in use",
            "if (in_use + usage_.free > most)",
            "if (in_use + usage_.free > most && most == 0)",
        ),
        Mutant(
            "pool-grows-beyond-its-limit",
            "that blocks in use count",
            "whole > limit_ - usage_.in_use",
            "whole > limit_",
        ),
        Mutant(
            "pool-gives-back-the-youngest",
            "that the oldest go first",
            "std::ranges::min_element(free_, {}, &FreeBlock::since)",
            "std::ranges::max_element(free_, {}, &FreeBlock::since)",
        ),
        Mutant(
            "pool-keeps-what-is-expired",
            "that what has been free for long goes back",
            "if (now < expiry) { next",
            "if (now < expiry + longest_free) { next",
        ),
        Mutant(
            "pool-forgets-what-is-to-expire",
            "that what is not yet expired will be",
            "next_expiry_ = next;",
            "next_expiry_ = never;",
        ),
        Mutant(
            "pool-takes-blocks-with-gaps-as-one",
            "that free blocks lie side by side",
            "free_[run.last - 1].address + free_[run.last - 1].size != block.address",
            "false",
        ),
        Mutant(
            "pool-takes-the-largest",
            "that the least that suffices is taken",
            "run.size < best->size",
            "run.size > best->size",
        ),
        Mutant(
            "pool-takes-the-oldest",
            "that of equals the last used is taken",
            "block.since > free_[best->last - 1].since",
            "block.since < free_[best->last - 1].since",
        ),
        Mutant(
            "pool-loses-what-is-left",
            "that what is left of a block stays free",
            "left > 0 ? run.last - 1 : run.last",
            "run.last",
        ),
        Mutant(
            "pool-gives-up-early",
            "that free blocks make room where memory ends",
            "surplus.unmap(); drop_free();",
            "",
        ),
        Mutant(
            "pool-of-a-child-keeps-free-blocks",
            "that a forked child begins without free blocks",
            "pool->drop_free();",
            "static_cast<void>(pool);",
        ),
        Mutant(
            "pool-unmaps-nothing",
            "that what goes back is unmapped",
            "unmap_huge_pages(address, size);",
            "",
        ),
    ),
)

HUGE_PAGES = Group(
    RUNTIME + "huge_pages.cpp",
    TESTS + " -k huge_pages",
    (
        Mutant(
            "pool-on-small-pages",
            "that huge pages are asked for",
            "madvise(address, size / huge_page * huge_page, MADV_HUGEPAGE);",
            "",
        ),
    ),
)

ARENAS = Group(
    RUNTIME + "executable.cpp",
    TESTS,
    (
        Mutant(
            "arenas-without-the-pool",
            "that intermediate values come from the pool",
            "pooled_ = process_memory_pool().take(size);",
            "",
        ),
        Mutant(
            "executables-let-nothing-expire",
            "that a run gives back what is expired",
            "release_expired_memory();",
            "",
        ),
    ),
)

ARRAYS = Group(
    BINDING + "new_array.cpp",
    TESTS,
    (
        Mutant(
            "outputs-without-the-pool",
            "that large outputs come from the pool",
            "block = runtime::process_memory_pool().take(size);",
            "",
        ),
        Mutant(
            "pooled-outputs-are-never-given-back",
            "that the last array gives its memory back",
            "const std::unique_ptr<Block> ending(static_cast<Block*>(object));",
            "auto* const ending = static_cast<Block*>(object);",
        ),
        Mutant(
            "pooled-outputs-are-not-traced",
            "that tracemalloc counts the memory",
            "with_c_linkage::PyTraceMalloc_Track(domain_of_numpy, address, size);",
            "static_cast<void>(address); static_cast<void>(size);",
        ),
        Mutant(
            "pooled-outputs-are-traced-for-ever",
            "that tracemalloc learns of the end",
            "with_c_linkage::PyTraceMalloc_Untrack(domain_of_numpy,"
            " reinterpret_cast<std::uintptr_t>(ending->get()));",
            "",
        ),
    ),
)

CALLS = Group(
    BINDING + "kernel_function.cpp",
    TESTS,
    (
        Mutant(
            "kernels-let-nothing-expire",
            "that a call gives back what is expired",
            "runtime::release_expired_memory();",
            "",
        ),
    ),
)

GROUPS = (POOL, HUGE_PAGES, ARENAS, ARRAYS, CALLS)
