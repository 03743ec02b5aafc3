#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "normgraph/ir/node_validation_failure.hpp"

namespace normgraph::op {

/// A name or a type as a part of a message.
inline std::string text_of(std::string_view name) {
    return std::string(name);
}

/// Collects the violations of one node.
class Report {
public:
    void add(std::string label, std::string text) {
        violations_.push_back({std::move(label), std::move(text)});
    }

    /// True if the constraint holds; its violation is kept if it does not.
    bool holds(std::optional<Violation> violation) {
        const bool is_violated = violation.has_value();
        if (violation) {
            violations_.push_back(*std::move(violation));
        }
        return !is_violated;
    }

    bool is_empty() const { return violations_.empty(); }

    void throw_if_violated(std::string_view type_name) const {
        if (!is_empty()) {
            throw NodeValidationFailure(std::string(type_name), "", violations_);
        }
    }

private:
    std::vector<Violation> violations_;
};

}  // namespace normgraph::op
