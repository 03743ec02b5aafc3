#pragma once

#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "normgraph/ir/function.hpp"
#include "normgraph/ir/output_hash.hpp"

/// How passes are written: nodes are never changed, so a pass builds a new function. What needs no
/// change is shared with the original, which stays as it is, whatever a pass throws.
namespace normgraph::pass {

class NewValues;

/// What takes the place of a node: one value for each of its outputs, of types that agree with the
/// node's as far as both are known; nullopt to leave it. Called after the nodes that `original`
/// reads have been replaced: `node` reads the new values, and is the original itself where nothing
/// has changed. A node whose place others take may be gone after the call, and its address be that
/// of a later one.
using Replacement = std::function<std::optional<std::vector<Output>>(Node& original, Node& node,
                                                                     const NewValues& values)>;

/// The function with every node replaced that `replacement` has something for: it is called once
/// for each node, parameters included, in their order. What it returns is not gone through again.
/// The new function has the same parameters, whether they are still read or not.
///
/// Throws what `replacement` throws, std::invalid_argument, naming the node, for values that cannot
/// stand for its outputs, and NodeValidationFailure where a node cannot read what is new.
Function rewrite(const Function& function, const Replacement& replacement);

/// The values of the new function, as far as it has been built.
class NewValues {
public:
    /// The value that stands for this one of the original function. Throws std::invalid_argument
    /// for a value of another function, and for one of a node whose turn has not come yet.
    const Output& of(const Output& original) const;
    std::vector<Output> of(const std::vector<Output>& originals) const;

private:
    friend Function rewrite(const Function& function, const Replacement& replacement);

    std::unordered_map<const Node*, std::vector<Output>> values_;
};

/// New values by the values of a function whose place they take.
using ReplacedValues = std::unordered_map<Output, Output, OutputHash>;

/// The function in which all readers of the listed values, results included, read the new ones. The
/// new values are taken as they are: one that reads a value that it replaces reads the original.
///
/// Throws std::invalid_argument for a value that is not one of the function's, and what `rewrite`
/// throws.
Function replace_values(const Function& function, const ReplacedValues& replaced);

}  // namespace normgraph::pass
