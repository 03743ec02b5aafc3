#include "normgraph/ir/friendly_name.hpp"

#include <atomic>
#include <utility>

namespace normgraph {

namespace {

std::uint64_t next_number() {
    static std::atomic<std::uint64_t> count{0};
    return count.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

FriendlyName::FriendlyName(std::string chosen)
    : chosen_{std::move(chosen)}, number_{next_number()} {}

std::string FriendlyName::text(std::string_view kind) const {
    return chosen_.empty() ? std::string(kind) + "_" + std::to_string(number_) : chosen_;
}

}  // namespace normgraph
