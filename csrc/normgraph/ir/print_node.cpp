#include "normgraph/ir/print_node.hpp"

#include <cstddef>
#include <vector>

#include "normgraph/ir/text.hpp"

namespace normgraph {

std::string print_output(const Output& output, const NodeNaming& name_of) {
    const bool is_only_one = output.node()->output_names().size() == 1;
    return name_of(*output.node()) + (is_only_one ? "" : "." + std::string(output.name()));
}

std::string print_node(const Node& node, const NodeNaming& name_of, const std::string& remark) {
    std::vector<std::string> inputs;
    for (const Output& input : node.input_values()) {
        inputs.push_back(print_output(input, name_of));
    }
    std::vector<std::string> outputs;
    for (std::size_t index = 0; index < node.output_names().size(); ++index) {
        outputs.push_back(node.output_type(index).to_string());
    }
    return node.description() + "(" + join(inputs, ", ") + ")" + remark + " -> (" +
           join(outputs, ", ") + ")";
}

}  // namespace normgraph
