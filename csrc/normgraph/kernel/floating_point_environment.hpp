#pragma once

#include <cfenv>

namespace normgraph::kernel {

/// Puts the calling thread into the default floating-point environment (round to nearest, denormals
/// kept, no traps) and restores the caller's at the end, exception flags included: results must not
/// depend on a mode that other code in the process has set.
class DefaultFloatingPointEnvironment {
public:
    DefaultFloatingPointEnvironment() {
        std::fegetenv(&callers_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~DefaultFloatingPointEnvironment() { std::fesetenv(&callers_); }
    DefaultFloatingPointEnvironment(const DefaultFloatingPointEnvironment&) = delete;
    DefaultFloatingPointEnvironment& operator=(const DefaultFloatingPointEnvironment&) = delete;

private:
    std::fenv_t callers_;
};

}  // namespace normgraph::kernel
