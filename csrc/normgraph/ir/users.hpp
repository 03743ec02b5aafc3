#pragma once

#include <cstddef>
#include <span>
#include <unordered_map>
#include <vector>

#include "normgraph/ir/function.hpp"
#include "normgraph/ir/output_hash.hpp"

namespace normgraph {

/// Who reads the values of a function: inputs of its nodes, and its results. The constructor goes
/// through the function once; each question is then one look into a table. Nobody reads a value
/// that is not one of the function's.
class Users {
public:
    explicit Users(const Function& function);

    /// The inputs that read the value, in the order of the function's nodes and of their inputs.
    std::span<const Input> of(const Output& value) const;
    /// The places that the value has among the function's results, in ascending order.
    std::span<const std::size_t> results_of(const Output& value) const;
    /// How often the value is read: by inputs and as a result. A node that reads it twice counts
    /// twice.
    std::size_t count(const Output& value) const;

private:
    struct Of {
        std::vector<Input> inputs;
        std::vector<std::size_t> results;
    };

    const Of& find(const Output& value) const;

    // Never gone through: addresses order nothing.
    std::unordered_map<Output, Of, OutputHash> users_;
};

}  // namespace normgraph
