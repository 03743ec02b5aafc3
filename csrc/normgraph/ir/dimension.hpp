#pragma once

#include <cstdint>
#include <iosfwd>
#include <limits>
#include <optional>
#include <string>

namespace normgraph {

/// The length of one axis: an interval [min, max] of non-negative integers that the length lies in.
/// Static if min == max; dynamic otherwise. The interval may have no upper bound.
class Dimension {
public:
    /// Stands for "no upper bound" in max_length(); no length can be that large.
    static constexpr std::int64_t unbounded = std::numeric_limits<std::int64_t>::max();

    /// Any length: [0, unbounded].
    constexpr Dimension() noexcept = default;

    /// Exactly this length. Throws std::invalid_argument for a negative or an unbounded one.
    /// Implicit, so that a shape reads as PartialShape{2, 64, Dimension::dynamic()}.
    Dimension(std::int64_t length);  // NOLINT(google-explicit-constructor)

    /// min <= length <= max. Throws std::invalid_argument if the interval is empty, min is negative
    /// or min is unbounded.
    Dimension(std::int64_t min_length, std::int64_t max_length);

    static constexpr Dimension dynamic() noexcept { return {}; }
    static Dimension at_least(std::int64_t min_length) { return {min_length, unbounded}; }

    /// The intersection of both intervals; nullopt if it is empty.
    static std::optional<Dimension> merge(const Dimension& left, const Dimension& right) noexcept;

    constexpr std::int64_t min_length() const noexcept { return min_length_; }
    /// `unbounded` if there is no upper bound.
    constexpr std::int64_t max_length() const noexcept { return max_length_; }
    constexpr bool has_upper_bound() const noexcept { return max_length_ != unbounded; }
    constexpr bool is_static() const noexcept { return min_length_ == max_length_; }
    constexpr bool is_dynamic() const noexcept { return !is_static(); }
    /// The one length of a static dimension. Throws std::domain_error if it is dynamic.
    std::int64_t length() const;
    /// True if some length lies in both intervals.
    bool compatible(const Dimension& other) const noexcept;

    /// "64", "1..8", "2.." (no upper bound), "?" (nothing known).
    std::string to_string() const;

    friend constexpr bool operator==(const Dimension&, const Dimension&) noexcept = default;

private:
    std::int64_t min_length_ = 0;
    std::int64_t max_length_ = unbounded;
};

std::ostream& operator<<(std::ostream& stream, const Dimension& dimension);

}  // namespace normgraph
