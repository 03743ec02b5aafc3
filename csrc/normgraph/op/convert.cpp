#include "normgraph/op/convert.hpp"

#include <stdexcept>
#include <utility>

#include "normgraph/ir/node_validation_failure.hpp"
#include "normgraph/op/expressions.hpp"
#include "normgraph/op/input_count.hpp"

namespace normgraph::op {

Convert::Convert(const Output& value, element::Type element_type, std::string friendly_name)
    : OpNode{{value}, element_type, std::move(friendly_name)} {
    validate_and_infer_types();
}

std::vector<TensorType> Convert::infer(const std::vector<TensorType>& inputs,
                                       element::Type element_type) {
    check_one_type_per_input(class_name, input_names_of<Convert>, inputs);
    if (!element_type.is_real()) {
        throw NodeValidationFailure(std::string(class_name), "",
                                    {{"P1", "element_type: expected f16, bf16, f32 or f64, got " +
                                                std::string(element_type.name())}});
    }
    return {{element_type, inputs.front().partial_shape}};
}

Deltas Convert::make_adjoints(const Deltas& deltas) {
    const element::Type type = input_values()[0].element_type();
    if (!type.is_real()) {
        throw std::invalid_argument(description() + " '" + friendly_name() +
                                    "' has no derivative: expected a real element type of value, "
                                    "got " +
                                    std::string(type.name()));
    }
    return {convert(*deltas[0], type)};
}

}  // namespace normgraph::op
