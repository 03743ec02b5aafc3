#include "normgraph/ir/node.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "normgraph/ir/print_node.hpp"
#include "normgraph/ir/text.hpp"

namespace normgraph {

namespace {

std::size_t checked_index(const Node* node, std::size_t index,
                          std::span<const std::string_view> (Node::*names)() const noexcept,
                          const std::string& kind) {
    if (node == nullptr) {
        throw std::invalid_argument("the node of an " + kind + ": expected a node, got null");
    }
    const std::size_t count = (node->*names)().size();
    if (index >= count) {
        throw std::out_of_range(node->description() + " '" + node->friendly_name() + "' has " +
                                format_count(count, kind) + ", got index " + std::to_string(index));
    }
    return index;
}

std::size_t index_of_name(const Node& node, std::string_view name,
                          std::span<const std::string_view> names, const std::string& kind) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
        const std::vector<std::string> known(names.begin(), names.end());
        throw std::invalid_argument(
            node.description() + " '" + node.friendly_name() + "' has no " + kind + " named '" +
            std::string(name) + "'" +
            (known.empty() ? "" : ", it has " + join_as_sentence(known, "and")));
    }
    return static_cast<std::size_t>(found - names.begin());
}

}  // namespace

Output::Output(std::shared_ptr<Node> node, std::size_t index)
    : node_{std::move(node)},
      index_{checked_index(node_.get(), index, &Node::output_names, "output")} {}

Output Output::only_output(std::shared_ptr<Node> node) {
    if (node != nullptr && node->output_names().size() != 1) {
        const auto names = node->output_names();
        throw std::invalid_argument(
            node->description() + " '" + node->friendly_name() + "' has " +
            std::to_string(names.size()) + " outputs (" +
            join(std::vector<std::string>(names.begin(), names.end()), ", ") +
            "): pass one of them, node.output(index or name)");
    }
    return {std::move(node), 0};
}

std::string_view Output::name() const {
    return node_->output_names()[index_];
}

const TensorType& Output::type() const {
    return node_->output_type(index_);
}

Input::Input(std::shared_ptr<Node> node, std::size_t index)
    : node_{std::move(node)},
      index_{checked_index(node_.get(), index, &Node::input_names, "input")} {}

std::string_view Input::name() const {
    return node_->input_names()[index_];
}

const Output& Input::source() const {
    return node_->input_values()[index_];
}

Node::Node(std::vector<Output> inputs, std::string friendly_name)
    : inputs_{std::move(inputs)}, friendly_name_{std::move(friendly_name)} {}

Node::~Node() {
    release(inputs_);
}

/// Destroying a node's inputs in place would recurse as deep as the graph, and a list of what is
/// left to destroy would need memory. So the way down is noted in the inputs that it has passed:
/// each of them refers to the node that was above, until the way back takes it out.
void Node::release(std::vector<Output>& inputs) {
    std::shared_ptr<Node> current, above;  // null: whose inputs these are
    for (;;) {
        std::vector<Output>& left = current ? current->inputs_ : inputs;
        if (!left.empty()) {
            std::shared_ptr<Node>& last = left.back().node_;
            if (last.use_count() != 1 || last->inputs_.empty()) {
                left.pop_back();
                continue;
            }
            std::shared_ptr<Node> next = std::exchange(last, std::move(above));
            above = std::exchange(current, std::move(next));
        } else if (current) {
            current = std::move(above);
            std::vector<Output>& passed = current ? current->inputs_ : inputs;
            above = std::move(passed.back().node_);
            passed.pop_back();
        } else {
            return;
        }
    }
}

Input Node::input(std::size_t index) {
    return {shared_from_this(), index};
}

Input Node::input(std::string_view name) {
    return input(index_of_name(*this, name, input_names(), "input"));
}

std::vector<Input> Node::inputs() {
    std::vector<Input> all;
    for (std::size_t index = 0; index < inputs_.size(); ++index) {
        all.push_back(input(index));
    }
    return all;
}

Output Node::output(std::size_t index) {
    return {shared_from_this(), index};
}

Output Node::output(std::string_view name) {
    return output(index_of_name(*this, name, output_names(), "output"));
}

std::vector<Output> Node::outputs() {
    std::vector<Output> all;
    for (std::size_t index = 0; index < output_names().size(); ++index) {
        all.push_back(output(index));
    }
    return all;
}

void Node::check_input_count(std::size_t count) const {
    if (count != input_names().size()) {
        throw std::invalid_argument(description() + " '" + friendly_name() + "' takes " +
                                    format_count(input_names().size(), "input") + ", got " +
                                    std::to_string(count));
    }
}

std::vector<TensorType> Node::infer_output_types(const std::vector<TensorType>& inputs) const {
    check_input_count(inputs.size());
    try {
        return infer_types(inputs);
    } catch (const NodeValidationFailure& failure) {
        throw failure.with_node_name(friendly_name());
    }
}

void Node::validate_and_infer_types() {
    std::vector<TensorType> input_types;
    for (const Output& input : inputs_) {
        input_types.push_back(input.type());
    }
    output_types_ = infer_output_types(input_types);
}

std::shared_ptr<Node> Node::clone_with_new_inputs(const std::vector<Output>& inputs,
                                                  const std::string& friendly_name) const {
    check_input_count(inputs.size());
    return make_clone(inputs, friendly_name);
}

Deltas Node::generate_adjoints(const Deltas& deltas) {
    if (std::optional<Deltas> adjoints = find_adjoints(deltas)) {
        return *std::move(adjoints);
    }
    throw std::invalid_argument(description() + " '" + friendly_name() + "' has no derivative");
}

std::optional<Deltas> Node::find_adjoints(const Deltas& deltas) {
    if (deltas.size() != output_names().size()) {
        throw std::invalid_argument(description() + " '" + friendly_name() + "' has " +
                                    format_count(output_names().size(), "output") + ", got " +
                                    format_count(deltas.size(), "delta"));
    }
    const bool none_arrives = std::ranges::none_of(
        deltas, [](const std::optional<Output>& delta) { return delta.has_value(); });
    if (none_arrives) {
        return Deltas(inputs_.size());
    }
    Deltas adjoints = make_adjoints(deltas);
    if (adjoints.size() == inputs_.size()) {
        return adjoints;
    }
    if (!adjoints.empty()) {
        throw std::invalid_argument(description() + " '" + friendly_name() + "' has " +
                                    format_count(inputs_.size(), "input") + ", got " +
                                    format_count(adjoints.size(), "adjoint"));
    }
    return std::nullopt;
}

Deltas Node::make_adjoints(const Deltas& /*deltas*/) {
    return {};
}

std::optional<std::vector<Output>> Node::decompose(element::Type /*compute_type*/) {
    return std::nullopt;
}

std::string Node::to_string() const {
    return print_node(*this, &Node::friendly_name, "");
}

}  // namespace normgraph
