#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "normgraph/ir/attribute_visitor.hpp"
#include "normgraph/ir/friendly_name.hpp"
#include "normgraph/ir/node_validation_failure.hpp"
#include "normgraph/ir/tensor_type.hpp"

namespace normgraph {

class Node;

/// One output of a node: the value that edges of the graph carry. Keeps its node alive.
class Output {
public:
    /// Throws std::invalid_argument for a null node, std::out_of_range for an index it has not.
    Output(std::shared_ptr<Node> node, std::size_t index);

    /// The output of a node that has exactly one; throws std::invalid_argument for another count.
    template <std::derived_from<Node> NodeType>
    Output(const std::shared_ptr<NodeType>& node)  // NOLINT(google-explicit-constructor)
        : Output{only_output(node)} {}

    const std::shared_ptr<Node>& node() const noexcept { return node_; }
    std::size_t index() const noexcept { return index_; }
    std::string_view name() const;
    const TensorType& type() const;
    element::Type element_type() const { return type().element_type; }
    const PartialShape& partial_shape() const { return type().partial_shape; }

    /// The same output of the same node.
    friend bool operator==(const Output&, const Output&) = default;

private:
    friend class Node;
    static Output only_output(std::shared_ptr<Node> node);

    std::shared_ptr<Node> node_;
    std::size_t index_;
};

/// One input of a node. Keeps its node alive.
class Input {
public:
    /// Throws std::invalid_argument for a null node, std::out_of_range for an index it has not.
    Input(std::shared_ptr<Node> node, std::size_t index);

    const std::shared_ptr<Node>& node() const noexcept { return node_; }
    std::size_t index() const noexcept { return index_; }
    std::string_view name() const;
    /// The output that this input reads.
    const Output& source() const;
    element::Type element_type() const { return source().element_type(); }
    const PartialShape& partial_shape() const { return source().partial_shape(); }

    friend bool operator==(const Input&, const Input&) = default;

private:
    std::shared_ptr<Node> node_;
    std::size_t index_;
};

/// Gradients with respect to a node's outputs or inputs; nullopt where none arrives (or is known to
/// be zero).
using Deltas = std::vector<std::optional<Output>>;

/// A vertex of the graph: what its outputs are follows from its inputs and its attributes.
///
/// The inputs are fixed at construction, so that no cycle can be made. A node is valid once it is
/// constructed; attributes and the types of its inputs' nodes may change afterwards, and
/// validate_and_infer_types() then brings its outputs up to date. Every node is owned by a
/// std::shared_ptr.
class Node : public std::enable_shared_from_this<Node> {
public:
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    /// Releases ancestors that nobody else holds one by one: a chain of any depth needs no stack.
    virtual ~Node();

    /// The class name, "BatchNormTraining".
    virtual std::string_view type_name() const noexcept = 0;
    virtual std::span<const std::string_view> input_names() const noexcept = 0;
    virtual std::span<const std::string_view> output_names() const noexcept = 0;
    virtual void visit_attributes(AttributeVisitor& visitor) const = 0;

    /// The kind of node, without spaces: its type name.
    std::string description() const { return std::string(type_name()); }

    const std::vector<Output>& input_values() const noexcept { return inputs_; }
    /// By index (std::out_of_range) or by name (std::invalid_argument that lists the names).
    Input input(std::size_t index);
    Input input(std::string_view name);
    std::vector<Input> inputs();
    Output output(std::size_t index);
    Output output(std::string_view name);
    std::vector<Output> outputs();
    /// Throws std::out_of_range.
    const TensorType& output_type(std::size_t index) const { return output_types_.at(index); }

    /// Infers the outputs' types from the inputs' and commits them. Throws NodeValidationFailure
    /// that lists every violated constraint, and the node is then as it was before.
    void validate_and_infer_types();

    /// The types its outputs have for inputs of these types; changes nothing. Throws
    /// NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    std::vector<TensorType> infer_output_types(const std::vector<TensorType>& inputs) const;

    /// A new node with the same attributes that reads these outputs. An empty name lets it have a
    /// generated one. Throws NodeValidationFailure, std::invalid_argument for a wrong number.
    std::shared_ptr<Node> clone_with_new_inputs(const std::vector<Output>& inputs,
                                                const std::string& friendly_name = {}) const;

    /// The gradients that arrive at the inputs when these arrive at the outputs: one per output,
    /// nullopt where none does, and so for the inputs. Throws std::invalid_argument for a wrong
    /// number of deltas, and, naming the node, where there is no derivative.
    Deltas generate_adjoints(const Deltas& deltas);

    /// The same, but nullopt where the class says nothing of a derivative; its decomposition may
    /// have one (see pass::differentiate).
    std::optional<Deltas> find_adjoints(const Deltas& deltas);

    /// The same outputs made of primitive ops, which compute in this type (dynamic: in that of the
    /// op's own data); nullopt for a node that is primitive itself. Throws std::invalid_argument,
    /// naming the node, if an element type that is needed is not known.
    virtual std::optional<std::vector<Output>> decompose(element::Type compute_type);

    /// A name for people, free to choose. Unless set, it is generated and unique in the process:
    /// "BatchNormTraining_7".
    std::string friendly_name() const { return friendly_name_.text(type_name()); }
    /// An empty name goes back to the generated one.
    void set_friendly_name(std::string name) { friendly_name_.choose(std::move(name)); }

    /// "BatchNormTraining(x, gamma, beta) -> (f32{?,64}, f32{64}, f32{64})"
    std::string to_string() const;

protected:
    /// The constructor of a concrete class calls validate_and_infer_types() as its last statement.
    Node(std::vector<Output> inputs, std::string friendly_name);

private:
    friend class Function;

    virtual std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const = 0;
    virtual std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                             const std::string& friendly_name) const = 0;
    /// One per input. Only with at least one delta. The default says nothing of a derivative: it
    /// returns none.
    virtual Deltas make_adjoints(const Deltas& deltas);
    void check_input_count(std::size_t count) const;
    /// Takes all of them out, and with them the nodes that nobody else holds.
    static void release(std::vector<Output>& inputs);

    std::vector<Output> inputs_;
    std::vector<TensorType> output_types_;
    FriendlyName friendly_name_;
};

}  // namespace normgraph
