#include "shape_list.hpp"

#include <charconv>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace normgraph::measurement {
namespace {

constexpr std::string_view header = "name,network,layer,shape,state,selection";

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);) {
        parts.push_back(part);
    }
    return parts;
}

std::int64_t parse_length(const std::string& text) {
    std::int64_t length = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, length);
    if (error != std::errc{} || stop != end || length < 1) {
        throw std::runtime_error("expected a shape such as 32x64x7x7, got the length '" + text +
                                 "'");
    }
    return length;
}

std::vector<std::int64_t> parse_shape(const std::string& text) {
    std::vector<std::int64_t> shape;
    for (const std::string& length : split(text, 'x')) {
        shape.push_back(parse_length(length));
    }
    if (shape.size() < 2) {
        throw std::runtime_error("expected a shape of rank 2 or more, got '" + text + "'");
    }
    return shape;
}

/// Whether `text` is `yes` rather than `no`; it must be one of them.
bool parse_choice(const std::string& text, std::string_view yes, std::string_view no) {
    if (text != yes && text != no) {
        throw std::runtime_error("expected " + std::string(yes) + " or " + std::string(no) +
                                 ", got '" + text + "'");
    }
    return text == yes;
}

NamedShape parse_line(const std::string& line) {
    const std::vector<std::string> fields = split(line, ',');
    if (fields.size() != 6) {
        throw std::runtime_error("expected the 6 fields " + std::string(header) + ", got " +
                                 std::to_string(fields.size()));
    }
    return {fields[0],
            fields[1],
            fields[2],
            parse_shape(fields[3]),
            parse_choice(fields[4], "cold", "warm"),
            parse_choice(fields[5], "short", "full")};
}

}  // namespace

std::int64_t element_count(const NamedShape& shape) {
    return std::accumulate(shape.shape.begin(), shape.shape.end(), std::int64_t{1},
                           std::multiplies<>());
}

std::vector<NamedShape> read_shape_list(const std::filesystem::path& file) {
    std::ifstream stream(file);
    std::string line;
    if (!std::getline(stream, line) || line != header) {
        throw std::runtime_error(file.string() + ": expected a file that begins with the line " +
                                 std::string(header));
    }
    std::vector<NamedShape> shapes;
    for (int number = 2; std::getline(stream, line); ++number) {
        try {
            shapes.push_back(parse_line(line));
        } catch (const std::runtime_error& error) {
            throw std::runtime_error(file.string() + ", line " + std::to_string(number) + ": " +
                                     error.what());
        }
    }
    return shapes;
}

std::string text_of(const std::vector<std::int64_t>& shape) {
    std::string text;
    for (const std::int64_t length : shape) {
        text += (text.empty() ? "(" : ",") + std::to_string(length);
    }
    return text + ")";
}

}  // namespace normgraph::measurement
