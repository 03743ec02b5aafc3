#pragma once

#include <cstdint>
#include <optional>

namespace normgraph::kernel {

/// The integer that an environment variable holds; nullopt if it is not set, or empty. Throws
/// std::invalid_argument, which names the variable, says that `expected` was expected and what
/// came, for a text that is no integer of at least `least`.
std::optional<std::int64_t> integer_from_environment(const char* variable, std::int64_t least,
                                                     const char* expected);

}  // namespace normgraph::kernel
