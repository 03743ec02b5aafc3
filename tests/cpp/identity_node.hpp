#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "normgraph/ir/node.hpp"

namespace normgraph {

/// For ops that tests define: an op with one input, whose output has the input's type.
class IdentityNode : public Node {
public:
    static constexpr std::array<std::string_view, 1> names_of_inputs{"value"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};

    std::span<const std::string_view> input_names() const noexcept override {
        return names_of_inputs;
    }
    std::span<const std::string_view> output_names() const noexcept override {
        return names_of_outputs;
    }
    void visit_attributes(AttributeVisitor& /*visitor*/) const override {}

protected:
    /// The class that is derived calls validate_and_infer_types() in its constructor.
    IdentityNode(const Output& value, std::string friendly_name)
        : Node{{value}, std::move(friendly_name)} {}

private:
    std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const override {
        return inputs;
    }
};

}  // namespace normgraph
