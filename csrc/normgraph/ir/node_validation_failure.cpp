#include "normgraph/ir/node_validation_failure.hpp"

namespace normgraph {

namespace {

std::string compose_message(const std::string& type_name, const std::string& node_name,
                            const std::vector<Violation>& violations) {
    std::string message =
        type_name + (node_name.empty() ? "" : " '" + node_name + "'") + " is not valid, " +
        (violations.size() == 1 ? "1 constraint is violated:"
                                : std::to_string(violations.size()) + " constraints are violated:");
    for (const Violation& violation : violations) {
        message += "\n  [" + violation.label + "] " + violation.text;
    }
    return message;
}

}  // namespace

NodeValidationFailure::NodeValidationFailure(std::string type_name, const std::string& node_name,
                                             std::vector<Violation> violations)
    : std::invalid_argument(compose_message(type_name, node_name, violations)),
      details_{
          std::make_shared<const Details>(Details{std::move(type_name), std::move(violations)})} {}

NodeValidationFailure NodeValidationFailure::with_node_name(const std::string& node_name) const {
    return {details_->type_name, node_name, details_->violations};
}

NodeValidationFailure NodeValidationFailure::with_advice(const std::string& advice) const {
    return {what() + ("\n  " + advice), details_};
}

}  // namespace normgraph
