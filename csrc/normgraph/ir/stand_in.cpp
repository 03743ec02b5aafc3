#include "normgraph/ir/stand_in.hpp"

#include <cstddef>
#include <stdexcept>

#include "normgraph/ir/text.hpp"

namespace normgraph {

namespace {

bool agree(const TensorType& left, const TensorType& right) {
    const bool types_agree = left.element_type.is_dynamic() || right.element_type.is_dynamic() ||
                             left.element_type == right.element_type;
    return types_agree && left.partial_shape.compatible(right.partial_shape);
}

}  // namespace

void check_stand_in(const std::string& what, const Node& node, const std::vector<Output>& values) {
    const auto fail = [&](const std::string& expected, const std::string& came) {
        throw std::invalid_argument("the " + what + " of " + node.description() + " '" +
                                    node.friendly_name() + "': expected " + expected + ", got " +
                                    came);
    };
    const std::size_t count = node.output_names().size();
    if (values.size() != count) {
        fail(format_count(count, "value"), std::to_string(values.size()));
    }
    for (std::size_t index = 0; index < count; ++index) {
        const TensorType& type = node.output_type(index);
        if (!agree(type, values[index].type())) {
            fail(type.to_string() + " for its output " + std::string(node.output_names()[index]),
                 values[index].type().to_string());
        }
    }
}

}  // namespace normgraph
