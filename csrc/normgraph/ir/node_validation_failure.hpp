#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace normgraph {

/// One constraint that does not hold.
struct Violation {
    std::string label;  ///< the constraint's label in the op's documentation, "C4"
    std::string text;   ///< what was expected and what came, with the inputs' names
};

/// Thrown when a node is not valid; what() lists every violated constraint, one line each:
///
///     BatchNormTraining 'bn' is not valid, 2 constraints are violated:
///       [C4] the element type of gamma: expected f32, as input has, got f64
///       [C9] the number of channels differs: input has 64 (axis 1 of {32,64,7,7}), gamma has 32
class NodeValidationFailure : public std::invalid_argument {
public:
    /// An empty node name stands for a check without a node; the header then names the op alone.
    NodeValidationFailure(std::string type_name, const std::string& node_name,
                          std::vector<Violation> violations);

    const std::vector<Violation>& violations() const noexcept { return details_->violations; }

    /// The same violations, with the name of the node that has them.
    NodeValidationFailure with_node_name(const std::string& node_name) const;

    /// The same violations, with a line of advice after them.
    NodeValidationFailure with_advice(const std::string& advice) const;

private:
    struct Details {
        std::string type_name;
        std::vector<Violation> violations;
    };
    NodeValidationFailure(const std::string& message, std::shared_ptr<const Details> details)
        : std::invalid_argument(message), details_(std::move(details)) {}

    // Shared: copying an exception must not throw.
    std::shared_ptr<const Details> details_;
};

}  // namespace normgraph
