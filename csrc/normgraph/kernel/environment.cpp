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
                                    ": expected " + expected + ", got '" + printable(text) + "'");
    }
    return number;
}

std::string printable(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result;
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte >= 0x20 && byte < 0x7f) {
            result += character;
        } else {
            result += {'\\', 'x', digits[byte / 16], digits[byte % 16]};
        }
    }
    return result;
}

}  // namespace normgraph::kernel
