#include "normgraph/op/input_count.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <string>

#include "normgraph/ir/text.hpp"

namespace normgraph::op {

void check_one_type_per_input(std::string_view type_name,
                              std::span<const std::string_view> input_names,
                              const std::vector<TensorType>& inputs) {
    if (inputs.size() != input_names.size()) {
        const std::vector<std::string> names(input_names.begin(), input_names.end());
        throw std::invalid_argument(std::string(type_name) + " takes " +
                                    format_count(names.size(), "input") + " (" + join(names, ", ") +
                                    "), got " + std::to_string(inputs.size()));
    }
}

void check_one_type_per_input(std::string_view type_name, SignatureView signature,
                              const std::vector<TensorType>& inputs) {
    std::vector<std::string_view> names;
    std::ranges::transform(signature.inputs, std::back_inserter(names), &Port::name);
    if (signature.optional_input && inputs.size() == names.size() + 1) {
        names.push_back(signature.optional_input->name);
    }
    check_one_type_per_input(type_name, names, inputs);
}

}  // namespace normgraph::op
