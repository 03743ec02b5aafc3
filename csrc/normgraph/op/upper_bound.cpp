#include "normgraph/op/upper_bound.hpp"

#include <limits>

#include "normgraph/ir/text.hpp"

namespace normgraph::op {
namespace {

/// Numbers between these two are finite and > 0 once they are rounded to nearest, ties to even.
struct OpenInterval {
    double low, high;
};

OpenInterval numbers_within(element::Type type) {
    switch (type.kind()) {
        case element::Type::Kind::f16:
            return {0x1p-25, 0x1.FFEp15};
        case element::Type::Kind::bf16:
            return {0x1p-134, 0x1.FFp127};
        case element::Type::Kind::f32:
            return {0x1p-150, 0x1.FFFFFFp127};
        default:
            return {0, std::numeric_limits<double>::infinity()};
    }
}

}  // namespace

std::optional<std::string> fault_of_upper_bound(std::optional<double> upper_bound,
                                                element::Type data) {
    const auto [low, high] = numbers_within(data);
    if (!upper_bound || (*upper_bound > low && *upper_bound < high)) {
        return std::nullopt;
    }
    const std::string rounded =
        data.is_real() ? " when rounded to " + std::string(data.name()) : "";
    return "upper_bound: expected a finite number > 0" + rounded + ", got " +
           format_number(*upper_bound);
}

}  // namespace normgraph::op
