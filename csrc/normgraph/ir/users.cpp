#include "normgraph/ir/users.hpp"

#include <memory>

namespace normgraph {

Users::Users(const Function& function) {
    for (const std::shared_ptr<Node>& node : function.nodes()) {
        const std::vector<Output>& inputs = node->input_values();
        for (std::size_t index = 0; index < inputs.size(); ++index) {
            users_[inputs[index]].inputs.emplace_back(node, index);
        }
    }
    for (std::size_t index = 0; index < function.results().size(); ++index) {
        users_[function.results()[index]].results.push_back(index);
    }
}

const Users::Of& Users::find(const Output& value) const {
    static const Of nobody;
    const auto found = users_.find(value);
    return found == users_.end() ? nobody : found->second;
}

std::span<const Input> Users::of(const Output& value) const {
    return find(value).inputs;
}

std::span<const std::size_t> Users::results_of(const Output& value) const {
    return find(value).results;
}

std::size_t Users::count(const Output& value) const {
    const Of& users = find(value);
    return users.inputs.size() + users.results.size();
}

}  // namespace normgraph
