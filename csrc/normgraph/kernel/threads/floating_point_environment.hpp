#pragma once

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#else
#include <cfenv>
#endif

namespace normgraph::kernel {

/// Puts the calling thread into the default floating-point environment (round to nearest, denormals
/// kept, no traps) and restores the caller's at the end, exception flags included: results must not
/// depend on a mode that other code in the process has set.
class DefaultFloatingPointEnvironment {
public:
    DefaultFloatingPointEnvironment();
    ~DefaultFloatingPointEnvironment();
    DefaultFloatingPointEnvironment(const DefaultFloatingPointEnvironment&) = delete;
    DefaultFloatingPointEnvironment& operator=(const DefaultFloatingPointEnvironment&) = delete;

private:
#if defined(__x86_64__) || defined(_M_X64)
    unsigned int callers_;
#else
    std::fenv_t callers_;
#endif
};

#if defined(__x86_64__) || defined(_M_X64)

// On x86-64 float and double obey the register MXCSR alone. fesetenv writes the x87 state as well,
// which costs more than a small call, and not every library resets its two modes for denormals.

inline DefaultFloatingPointEnvironment::DefaultFloatingPointEnvironment() : callers_(_mm_getcsr()) {
    constexpr unsigned int exception_flags = 0x3f;
    constexpr unsigned int default_modes = 0x1f80;
    if ((callers_ & ~exception_flags) != default_modes) {
        _mm_setcsr(default_modes);
    }
}

inline DefaultFloatingPointEnvironment::~DefaultFloatingPointEnvironment() {
    if (_mm_getcsr() != callers_) {
        _mm_setcsr(callers_);
    }
}

#else

inline DefaultFloatingPointEnvironment::DefaultFloatingPointEnvironment() {
    std::fegetenv(&callers_);
    std::fesetenv(FE_DFL_ENV);
}

inline DefaultFloatingPointEnvironment::~DefaultFloatingPointEnvironment() {
    std::fesetenv(&callers_);
}

#endif

}  // namespace normgraph::kernel
