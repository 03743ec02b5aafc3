#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace normgraph::kernel {

/// The integer that an environment variable holds; nullopt if it is not set, or empty. Throws
/// std::invalid_argument, which names the variable, says that `expected` was expected and what
/// came, for a text that is no integer of at least `least`.
std::optional<std::int64_t> integer_from_environment(const char* variable, std::int64_t least,
                                                     const char* expected);

/// The text with `\xff` in the place of each byte that is no printable character of ASCII: an
/// environment variable may hold any, and a message may not.
std::string printable(std::string_view text);

}  // namespace normgraph::kernel
