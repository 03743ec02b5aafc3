#include "normgraph/ir/dimension.hpp"

#include <algorithm>
#include <ostream>
#include <stdexcept>

namespace normgraph {

namespace {

std::int64_t checked_length(std::int64_t length) {
    if (length < 0 || length == Dimension::unbounded) {
        throw std::invalid_argument("expected a length from 0 to " +
                                    std::to_string(Dimension::unbounded - 1) + ", got " +
                                    std::to_string(length));
    }
    return length;
}

}  // namespace

Dimension::Dimension(std::int64_t length)
    : min_length_{checked_length(length)}, max_length_{length} {}

Dimension::Dimension(std::int64_t min_length, std::int64_t max_length)
    : min_length_{checked_length(min_length)}, max_length_{max_length} {
    if (min_length > max_length) {
        throw std::invalid_argument("expected an interval with low <= high, got low " +
                                    std::to_string(min_length) + ", high " +
                                    std::to_string(max_length));
    }
}

std::optional<Dimension> Dimension::merge(const Dimension& left, const Dimension& right) noexcept {
    Dimension merged;
    merged.min_length_ = std::max(left.min_length_, right.min_length_);
    merged.max_length_ = std::min(left.max_length_, right.max_length_);
    if (merged.min_length_ > merged.max_length_) {
        return std::nullopt;
    }
    return merged;
}

std::int64_t Dimension::length() const {
    if (is_dynamic()) {
        throw std::domain_error("the dimension " + to_string() +
                                " is dynamic and has no one length");
    }
    return min_length_;
}

bool Dimension::compatible(const Dimension& other) const noexcept {
    return merge(*this, other).has_value();
}

std::string Dimension::to_string() const {
    if (is_static()) {
        return std::to_string(min_length_);
    }
    if (has_upper_bound()) {
        return std::to_string(min_length_) + ".." + std::to_string(max_length_);
    }
    return min_length_ == 0 ? "?" : std::to_string(min_length_) + "..";
}

std::ostream& operator<<(std::ostream& stream, const Dimension& dimension) {
    return stream << dimension.to_string();
}

}  // namespace normgraph
