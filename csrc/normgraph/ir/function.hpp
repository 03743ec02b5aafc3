#pragma once

#include <memory>
#include <string>
#include <vector>

#include "normgraph/ir/friendly_name.hpp"
#include "normgraph/ir/node.hpp"
#include "normgraph/ir/parameter.hpp"

namespace normgraph {

/// A graph with its ends named: what goes in (parameters) and what comes out (results).
class Function {
public:
    /// Throws std::invalid_argument if there is no result, if a parameter is null or listed twice,
    /// and, naming it, if the results depend on a parameter that is not listed. A listed parameter
    /// need not be used. An empty name stands for a generated one.
    Function(std::vector<Output> results, std::vector<std::shared_ptr<Parameter>> parameters,
             std::string friendly_name = {});

    const std::vector<Output>& results() const noexcept { return results_; }
    const std::vector<std::shared_ptr<Parameter>>& parameters() const noexcept {
        return parameters_;
    }
    /// The parameters as they are listed, then every other node after the nodes it reads.
    const std::vector<std::shared_ptr<Node>>& nodes() const noexcept { return nodes_; }

    /// Infers the types of all nodes anew, from the parameters' declared types on. Throws
    /// NodeValidationFailure for the first node that is not valid; no node's outputs have changed
    /// then.
    void validate_nodes_and_infer_types();

    /// A name for people, free to choose; generated ("Function_3") unless set.
    std::string friendly_name() const { return friendly_name_.text("Function"); }
    /// An empty name goes back to the generated one.
    void set_friendly_name(std::string name) { friendly_name_.choose(std::move(name)); }

    /// One line per node, the name it has here first, and a last line with the results.
    std::string to_string() const;

private:
    void check_parameters_are_distinct() const;
    void collect_nodes();

    std::vector<Output> results_;
    std::vector<std::shared_ptr<Parameter>> parameters_;
    std::vector<std::shared_ptr<Node>> nodes_;
    FriendlyName friendly_name_;
};

}  // namespace normgraph
