#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace normgraph {

/// The shortest decimal text that reads back as the same double: "1e-05", "0.5", "nan", "-inf".
std::string format_number(double value);

/// "a, b, c" for the separator ", "; empty for no parts.
std::string join(const std::vector<std::string>& parts, const std::string& separator);

/// "a", "a and b", "a, b and c": a list inside a sentence, with "and" or "or" as the last word.
std::string join_as_sentence(const std::vector<std::string>& parts, const std::string& last_word);

/// "1 input", "2 inputs": a count and its noun.
std::string format_count(std::size_t count, const std::string& noun);

}  // namespace normgraph
