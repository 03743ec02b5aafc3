#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace normgraph {

/// A name for people: chosen by them, or else generated and unique in the process.
class FriendlyName {
public:
    /// An empty name stands for a generated one.
    explicit FriendlyName(std::string chosen);

    void choose(std::string chosen) { chosen_ = std::move(chosen); }
    /// The chosen name, or "<kind>_<number>".
    std::string text(std::string_view kind) const;

private:
    std::string chosen_;
    std::uint64_t number_;
};

}  // namespace normgraph
