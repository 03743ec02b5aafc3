#include "normgraph/kernel/environment.hpp"

#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace normgraph::kernel {

std::optional<std::int64_t> integer_from_environment(const char* variable, std::int64_t least,
                                                     const char* expected) {
    const char* const value = std::getenv(variable);
    if (value == nullptr || *value == '\0') {
        return std::nullopt;
    }
    const std::string_view text = value;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < least) {
        throw std::invalid_argument("environment variable " + std::string(variable) +
                                    ": expected " + expected + ", got '" + std::string(text) + "'");
    }
    return number;
}

}  // namespace normgraph::kernel
