#include "normgraph/op/select_where.hpp"

#include <optional>
#include <utility>

#include "normgraph/op/expressions.hpp"
#include "normgraph/op/primitive_constraints.hpp"

namespace normgraph::op {

SelectWhere::SelectWhere(const Output& value, const Output& where, std::string friendly_name)
    : OpNode{{value, where}, std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> SelectWhere::infer(const std::vector<TensorType>& inputs) {
    return {infer_selection(class_name, input_names_of<SelectWhere>, inputs)};
}

Deltas SelectWhere::make_adjoints(const Deltas& deltas) {
    return {select_where(*deltas[0], input_values()[1]), std::nullopt};
}

}  // namespace normgraph::op
