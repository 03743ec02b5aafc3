#pragma once

/// Sums stay in registers only where everything that adds to them is inlined, and a compiler leaves
/// out of line what it thinks too long. Under sanitizers that would be too long for anybody's
/// patience: they add code to each access to memory.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NORMGRAPH_ALWAYS_INLINE
#else
#define NORMGRAPH_ALWAYS_INLINE __attribute__((always_inline))
#endif

/// What is rarely called from what is inlined many times.
#define NORMGRAPH_NEVER_INLINE __attribute__((noinline))
