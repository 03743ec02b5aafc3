#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "normgraph/ir/users.hpp"

namespace normgraph::pass {

/// The values that a pattern has given names to.
class Match {
public:
    /// The value of this name. In `replace_matches` it is the one that stands for it in the new
    /// function. Throws std::invalid_argument that lists the names.
    const Output& operator[](std::string_view name) const { return find(name).value; }
    /// The value of this name in the function that was matched.
    const Output& original(std::string_view name) const { return find(name).original; }
    /// The node of the original value, which is of this class.
    template <std::derived_from<Node> NodeType>
    const NodeType& node(std::string_view name) const {
        const Node& found = *original(name).node();
        const auto* const node = dynamic_cast<const NodeType*>(&found);
        if (node == nullptr) {
            throw std::invalid_argument("'" + std::string(name) +
                                        "': expected a node of another class, got " +
                                        found.description() + " '" + found.friendly_name() + "'");
        }
        return *node;
    }
    /// Whether something has this name: of two alternatives only one is matched.
    bool contains(std::string_view name) const;
    /// In the order in which they were matched.
    std::vector<std::string> names() const;

    /// The same match with other values for the originals.
    Match with_values(const std::function<Output(const Output& original)>& value_of) const;

private:
    friend class Matcher;

    struct Named {
        std::string name;
        Output original;
        Output value;
    };

    const Named& find(std::string_view name) const;

    std::vector<Named> named_;
};

/// What a value may look like: an op, the values that it reads, and so on. A pattern never changes;
/// each function below returns a new one.
class Pattern {
public:
    using Kind = std::function<bool(const Node& node)>;
    using Condition = std::function<bool(const Output& value)>;

    /// Any value.
    static Pattern any(std::string name = {});

    /// The first output of a node of this class (another one: see `output`), which reads values
    /// that match the inputs, one for each; without a list, any values.
    template <std::derived_from<Node> NodeType>
    static Pattern op() {
        return of_kind(is_of_class<NodeType>);
    }
    template <std::derived_from<Node> NodeType>
    static Pattern op(std::vector<Pattern> inputs) {
        return of_kind(is_of_class<NodeType>, std::move(inputs));
    }
    /// The same of nodes of which `kind` is true. Throws std::invalid_argument for a pattern that
    /// is nested more than 100 deep.
    static Pattern of_kind(Kind kind, std::optional<std::vector<Pattern>> inputs = std::nullopt);

    /// What the first pattern matches, or else the second. Once the first has matched, the second
    /// is not tried, even if the rest of the pattern does not match then.
    friend Pattern operator|(const Pattern& first, const Pattern& second);

    /// The value has this name in the match. Where several have one name, all are the same value.
    /// Throws std::invalid_argument for an empty name.
    Pattern named(std::string name) const;
    /// The value is the node's output of this name, in place of its first. Throws
    /// std::invalid_argument unless this is a pattern of an op: alternatives say it in each of
    /// them.
    Pattern output(std::string name) const;
    /// The condition is true of the value. It is asked last.
    Pattern where(Condition condition) const;
    /// The value is read once: by one input, or as one result.
    Pattern with_single_user() const;
    /// As an input: the node may have none in this place, and in those after it.
    Pattern optional() const;

    /// The match of this pattern at the value; nullopt if it looks otherwise. Takes as long as the
    /// pattern is large, however large the graph is.
    ///
    /// Throws what conditions throw; std::invalid_argument for a pattern with a single user without
    /// `users`, which are those of the function that the value is of, and for alternatives within
    /// alternatives that make it compare more than 100,000 values.
    std::optional<Match> match(const Output& value, const Users* users = nullptr) const;

private:
    friend class Matcher;
    struct Data;

    template <typename NodeType>
    static bool is_of_class(const Node& node) {
        return dynamic_cast<const NodeType*>(&node) != nullptr;
    }

    explicit Pattern(Data data);
    template <typename Change>
    Pattern changed(const Change& change) const;

    std::shared_ptr<const Data> data_;
};

}  // namespace normgraph::pass
