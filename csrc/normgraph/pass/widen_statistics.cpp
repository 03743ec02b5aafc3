#include "normgraph/pass/widen_statistics.hpp"

#include <algorithm>
#include <concepts>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "normgraph/ir/output_hash.hpp"
#include "normgraph/op/batch_norm_family.hpp"
#include "normgraph/op/convert.hpp"
#include "normgraph/op/expressions.hpp"
#include "normgraph/pass/rewrite.hpp"

namespace normgraph::pass {
namespace {

using op::Role;
using Values = std::optional<std::vector<Output>>;

/// By the converted statistic: the f32 one that it is made of.
using WideStatistics = std::unordered_map<Output, Output, OutputHash>;

/// The data's own type has to be known: that it may follow from the statistics' would be lost.
bool has_narrow_statistics(const op::StatisticsNode& node) {
    const element::Type data = node.source(Role::input).element_type();
    const element::Type statistics =
        node.output_type(op::index_of(node.ports().outputs, Role::mean)).element_type;
    return statistics == data && data.is_sixteen_bit_real();
}

/// The same op with f32 statistics; null if it is another one.
template <typename Op>
std::shared_ptr<Node> widened_op(const Node& node) {
    if constexpr (std::derived_from<Op, op::StatisticsNode>) {
        const auto* const narrow = dynamic_cast<const Op*>(&node);
        if (narrow != nullptr && has_narrow_statistics(*narrow)) {
            return narrow->with_statistics_type(element::f32);
        }
    }
    return nullptr;
}

template <typename... Ops>
struct Widened {
    static std::shared_ptr<Node> of(const Node& node) {
        std::shared_ptr<Node> wide;
        static_cast<void>(((wide = widened_op<Ops>(node)) || ...));
        return wide;
    }
};

/// The outputs of the wide node, its statistics converted to those of the narrow one.
std::vector<Output> in_types_of(const Node& narrow, const std::shared_ptr<Node>& wide,
                                WideStatistics& statistics) {
    const auto& of_family = static_cast<const op::BatchNormNode&>(*wide);
    std::vector<Output> values = wide->outputs();
    for (const Role role : {Role::mean, Role::variance}) {
        Output& value = values[op::index_of(of_family.ports().outputs, role)];
        const Output converted = op::convert(value, narrow.output_type(value.index()).element_type);
        statistics.emplace(converted, value);
        value = converted;
    }
    return values;
}

/// A conversion to a type that is wide enough, from the statistics as they were.
Values converted_from_wide(const op::Convert& node, const WideStatistics& statistics) {
    const auto wide = statistics.find(node.input_values()[0]);
    if (wide == statistics.end() || node.element_type().is_sixteen_bit_real()) {
        return std::nullopt;
    }
    return std::vector{op::convert(wide->second, node.element_type())};
}

/// The node with its statistics as they were before they were converted; nullopt if it reads none,
/// or only one, which would have another type than the other, or if it knows the types of others
/// from them alone.
Values reading_wide(Node& node, const WideStatistics& statistics) {
    if (const auto* const convert = dynamic_cast<const op::Convert*>(&node)) {
        return converted_from_wide(*convert, statistics);
    }
    const auto* const of_family = dynamic_cast<const op::BatchNormNode*>(&node);
    if (of_family == nullptr || !op::has(of_family->ports().inputs, Role::mean)) {
        return std::nullopt;
    }
    std::vector<Output> inputs = node.input_values();
    for (std::size_t index = 0; index < inputs.size(); ++index) {
        if (!op::is_statistic(of_family->input_role(index))) {
            continue;
        }
        Output& input = inputs[index];
        const auto wide = statistics.find(input);
        if (wide == statistics.end()) {
            return std::nullopt;
        }
        input = wide->second;
    }
    std::vector<Output> wide = node.clone_with_new_inputs(inputs, node.friendly_name())->outputs();
    const bool keeps_types =
        std::ranges::equal(wide, node.outputs(), {}, &Output::type, &Output::type);
    return keeps_types ? Values(std::move(wide)) : std::nullopt;
}

}  // namespace

Function widen_statistics(const Function& function) {
    WideStatistics statistics;
    return rewrite(function, [&](Node& /*original*/, Node& node, const NewValues&) -> Values {
        const std::shared_ptr<Node> wide = op::BatchNormFamily<Widened>::of(node);
        return wide == nullptr ? reading_wide(node, statistics)
                               : in_types_of(node, wide, statistics);
    });
}

}  // namespace normgraph::pass
