#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "normgraph/op/op_node.hpp"

namespace normgraph::op {

/// value where `where` is true, else +0, whatever is stored there. `where` is broadcast to value:
/// it has as many axes, each of value's length or of length 1. It only selects: nothing is
/// differentiated by it.
///
/// Constraints: P1, P9, P10 (see constraints.hpp).
class SelectWhere final : public OpNode<SelectWhere> {
public:
    static constexpr std::string_view class_name = "SelectWhere";
    static constexpr std::string_view documentation =
        "value where a boolean is true, else 0, whatever is stored there.\n\n"
        "where is broadcast to value: it has as many axes, each of value's length or of length 1.\n"
        "It only selects: nothing is differentiated by it.";
    static constexpr std::array<std::string_view, 3> constraint_labels{"P1", "P9", "P10"};
    static constexpr Signature<2, 1> signature{{{{"value"}, {"where"}}}, {{{"result"}}}};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    SelectWhere(const Output& value, const Output& where, std::string friendly_name = {});

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs);

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
