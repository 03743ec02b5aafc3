#include "normgraph/ir/text.hpp"

#include <array>
#include <charconv>

namespace normgraph {

std::string format_number(double value) {
    // The longest shortest form of a double, "-2.2250738585072014e-308", has 24 characters.
    std::array<char, 32> buffer{};
    const std::to_chars_result result =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    return {buffer.data(), result.ptr};
}

std::string join(const std::vector<std::string>& parts, const std::string& separator) {
    std::string text;
    for (std::size_t index = 0; index < parts.size(); ++index) {
        text += (index == 0 ? std::string{} : separator) + parts[index];
    }
    return text;
}

std::string join_as_sentence(const std::vector<std::string>& parts, const std::string& last_word) {
    if (parts.size() < 2) {
        return join(parts, "");
    }
    const std::vector<std::string> all_but_last(parts.begin(), parts.end() - 1);
    return join(all_but_last, ", ") + " " + last_word + " " + parts.back();
}

std::string format_count(std::size_t count, const std::string& noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace normgraph
