#include "normgraph/pass/widen_statistics.hpp"

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "normgraph/ir/output_hash.hpp"
#include "normgraph/op/batch_norm_node.hpp"
#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/batch_norm_training_relu.hpp"
#include "normgraph/op/expressions.hpp"
#include "normgraph/pass/rewrite.hpp"

namespace normgraph::pass {
namespace {

using op::Role;
using Values = std::optional<std::vector<Output>>;

/// By the converted statistic: the f32 one that it is made of.
using WideStatistics = std::unordered_map<Output, Output, OutputHash>;

bool has_narrow_statistics(const op::StatisticsNode& node) {
    const element::Type data = node.output_type(0).element_type;
    const element::Type statistics =
        node.output_type(op::index_of(node.ports().outputs, Role::mean)).element_type;
    return statistics == data && (data == element::f16 || data == element::bf16);
}

/// The same op with f32 statistics; null if it is another one.
template <typename Op>
std::shared_ptr<Node> widened(const Node& node) {
    const auto* const narrow = dynamic_cast<const Op*>(&node);
    if (narrow == nullptr || !has_narrow_statistics(*narrow)) {
        return nullptr;
    }
    const auto& inputs = narrow->input_values();
    return std::make_shared<Op>(inputs[0], inputs[1], inputs[2], narrow->epsilon(),
                                narrow->channel_axis(), element::f32, narrow->friendly_name());
}

/// The outputs of the wide node, its statistics converted to those of the narrow one.
std::vector<Output> in_types_of(const Node& narrow, const std::shared_ptr<Node>& wide,
                                WideStatistics& statistics) {
    std::vector<Output> values = wide->outputs();
    for (Output& value : values) {
        const Output converted = op::convert(value, narrow.output_type(value.index()).element_type);
        if (converted != value) {
            statistics.emplace(converted, value);
            value = converted;
        }
    }
    return values;
}

/// The node with its statistics as they were before they were converted; nullopt if it reads none,
/// or only one, which would have another type than the other.
Values reading_wide(const Node& node, const WideStatistics& statistics) {
    const auto* const of_family = dynamic_cast<const op::BatchNormNode*>(&node);
    if (of_family == nullptr || !op::has(of_family->ports().inputs, Role::mean)) {
        return std::nullopt;
    }
    std::vector<Output> inputs = node.input_values();
    for (const Role role : {Role::mean, Role::variance}) {
        Output& input = inputs[op::index_of(of_family->ports().inputs, role)];
        const auto wide = statistics.find(input);
        if (wide == statistics.end()) {
            return std::nullopt;
        }
        input = wide->second;
    }
    return node.clone_with_new_inputs(inputs, node.friendly_name())->outputs();
}

}  // namespace

Function widen_statistics(const Function& function) {
    WideStatistics statistics;
    return rewrite(function, [&](const Node& /*original*/, Node& node) -> Values {
        std::shared_ptr<Node> wide = widened<op::BatchNormTraining>(node);
        if (wide == nullptr) {
            wide = widened<op::BatchNormTrainingRelu>(node);
        }
        return wide == nullptr ? reading_wide(node, statistics)
                               : in_types_of(node, wide, statistics);
    });
}

}  // namespace normgraph::pass
