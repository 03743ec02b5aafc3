#include "normgraph/runtime/lowering.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "normgraph/indices/axis.hpp"
#include "normgraph/indices/element_limit.hpp"
#include "normgraph/ir/constant.hpp"
#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/op/batch_norm_family.hpp"
#include "normgraph/op/convert.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/matrix_multiply.hpp"
#include "normgraph/op/reduction.hpp"
#include "normgraph/op/relu_selection.hpp"
#include "normgraph/op/select_where.hpp"
#include "normgraph/runtime/kernel_arguments.hpp"
#include "normgraph/runtime/kernel_steps.hpp"
#include "normgraph/runtime/plan_builder.hpp"

namespace normgraph::runtime {
namespace {

using kernel::ElementWiseOperation;
using kernel::StorageType;

/// One node on its way into a plan.
struct NodeLowering {
    const Node& node;
    std::vector<std::size_t> inputs;  ///< views; unspecified where an input is not read
    const std::vector<TensorType>& input_types;
    const std::vector<TensorType>& output_types;
    std::vector<bool> is_needed;  ///< by output
    PlanBuilder& builder;

    Lengths input_shape(std::size_t index) const { return shape_of(input_types[index]); }
    std::size_t new_output(std::size_t index) const {
        return builder.add_value(output_types[index]);
    }
    /// A negative axis of an input counts from its last.
    std::int64_t axis_of_input(std::size_t index, std::int64_t axis) const {
        return axis_from_front(axis, static_cast<std::int64_t>(input_shape(index).size()));
    }

    static Lengths shape_of(const TensorType& type) {
        Lengths shape;
        for (const Dimension& dimension : type.partial_shape.dimensions()) {
            shape.push_back(dimension.length());
        }
        return shape;
    }
};

/// One per output; unspecified where it is not needed.
using Views = std::vector<std::size_t>;

template <ElementWiseOperation operation>
Views element_wise(const NodeLowering& lowering) {
    PlanBuilder& builder = lowering.builder;
    ElementWiseStep& step = builder.begin_element_wise(lowering.input_shape(0), lowering.inputs);
    const StorageType type = storage_type(lowering.output_types[0].element_type);
    const ProgramValue first = builder.operand(step, lowering.inputs.front());
    const ProgramValue second = builder.operand(step, lowering.inputs.back());
    const std::size_t result = lowering.new_output(0);
    builder.end_element_wise(step, step.add(operation, type, type, first, second), result);
    return {result};
}

/// Operations on the inputs of a node and on its bound, rounded to their type:
/// `compute(add, values)` adds them, by `add(operation, first, second)`, and returns the result.
/// The bound is the last of the values.
template <typename Compute>
Views bounded_element_wise(const NodeLowering& lowering, double upper_bound,
                           const Compute& compute) {
    PlanBuilder& builder = lowering.builder;
    const Lengths shape = lowering.input_shape(0);
    const element::Type type = lowering.output_types[0].element_type;
    std::vector<std::size_t> operands = lowering.inputs;
    operands.push_back(builder.add_number(upper_bound, shape, type));
    ElementWiseStep& step = builder.begin_element_wise(shape, operands);
    std::vector<ProgramValue> values;
    for (const std::size_t operand : operands) {
        values.push_back(builder.operand(step, operand));
    }
    const ProgramValue computed = compute(
        [&](ElementWiseOperation operation, ProgramValue first, ProgramValue second) {
            return step.add(operation, storage_type(type), storage_type(type), first, second);
        },
        values);
    const std::size_t result = lowering.new_output(0);
    builder.end_element_wise(step, computed, result);
    return {result};
}

Views relu(const NodeLowering& lowering) {
    const std::optional<double> bound = static_cast<const op::Relu&>(lowering.node).upper_bound();
    if (!bound) {
        return element_wise<ElementWiseOperation::relu>(lowering);
    }
    return bounded_element_wise(lowering, *bound, [](const auto& add, const auto& values) {
        const ProgramValue positive = add(ElementWiseOperation::relu, values[0], values[0]);
        return add(ElementWiseOperation::minimum, positive, values[1]);
    });
}

/// A difference of two numbers of a type is 0 in that type only where they are equal.
Views relu_backprop(const NodeLowering& lowering) {
    const std::optional<double> bound =
        static_cast<const op::ReluBackprop&>(lowering.node).upper_bound();
    if (!bound) {
        return element_wise<ElementWiseOperation::relu_backprop>(lowering);
    }
    return bounded_element_wise(lowering, *bound, [](const auto& add, const auto& values) {
        const ProgramValue delta = add(ElementWiseOperation::relu_backprop, values[0], values[1]);
        const ProgramValue left = add(ElementWiseOperation::subtract, values[2], values[0]);
        return add(ElementWiseOperation::relu_backprop, left, delta);
    });
}

/// `where` is broadcast as another view of its memory.
Views select_where(const NodeLowering& lowering) {
    PlanBuilder& builder = lowering.builder;
    const Lengths shape = lowering.input_shape(0);
    const View& from = builder.view(lowering.inputs[1]);
    View view{from.buffer, shape, from.axes};
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        if (from.shape[axis] != shape[axis]) {
            view.axes[axis] = View::repeated;
        }
    }
    const std::size_t where = builder.add_view(std::move(view));
    ElementWiseStep& step = builder.begin_element_wise(shape, {lowering.inputs[0], where});
    const StorageType type = storage_type(lowering.output_types[0].element_type);
    const ProgramValue value = builder.operand(step, lowering.inputs[0]);
    const ProgramValue is_set = builder.operand(step, where);
    const ProgramValue number =
        step.add(ElementWiseOperation::convert, StorageType::boolean, type, is_set, is_set);
    const ProgramValue selected =
        step.add(ElementWiseOperation::relu_backprop, type, type, number, value);
    const std::size_t result = lowering.new_output(0);
    builder.end_element_wise(step, selected, result);
    return {result};
}

Views convert(const NodeLowering& lowering) {
    PlanBuilder& builder = lowering.builder;
    const StorageType from = storage_type(lowering.input_types[0].element_type);
    const StorageType to = storage_type(lowering.output_types[0].element_type);
    if (from == to) {
        return {lowering.inputs[0]};
    }
    ElementWiseStep& step = builder.begin_element_wise(lowering.input_shape(0), lowering.inputs);
    const ProgramValue value = builder.operand(step, lowering.inputs[0]);
    const std::size_t result = lowering.new_output(0);
    builder.end_element_wise(step, step.add(ElementWiseOperation::convert, from, to, value, value),
                             result);
    return {result};
}

template <typename Op>
Views reduction(const NodeLowering& lowering) {
    Lengths kept_axes;
    for (const std::int64_t axis : static_cast<const Op&>(lowering.node).axes()) {
        kept_axes.push_back(lowering.axis_of_input(0, axis));
    }
    const std::size_t result = lowering.new_output(0);
    lowering.builder.add_step(std::make_unique<SumStep>(
        lowering.inputs[0], result, std::move(kept_axes), std::is_same_v<Op, op::Mean>));
    return {result};
}

/// `value` with its axes at those that `node` lists, repeated along the others of input 1.
std::size_t repeated(const NodeLowering& lowering, const op::AxesNode& node, std::size_t value) {
    const View& from = lowering.builder.view(value);
    View view{from.buffer, lowering.input_shape(1), {}};
    view.axes.resize(view.shape.size(), View::repeated);
    for (std::size_t axis = 0; axis < node.axes().size(); ++axis) {
        view.axes[static_cast<std::size_t>(lowering.axis_of_input(1, node.axes()[axis]))] =
            from.axes[axis];
    }
    return lowering.builder.add_view(std::move(view));
}

/// No step at all: the same memory, seen with strides of zero.
Views broadcast(const NodeLowering& lowering) {
    return {
        repeated(lowering, static_cast<const op::Broadcast&>(lowering.node), lowering.inputs[0])};
}

/// The division is made in double, as Mean's, and rounded once.
Views mean_backprop(const NodeLowering& lowering) {
    const auto& node = static_cast<const op::MeanBackprop&>(lowering.node);
    PlanBuilder& builder = lowering.builder;
    Lengths others = lowering.input_shape(1);
    for (const std::int64_t axis : node.axes()) {
        others[static_cast<std::size_t>(lowering.axis_of_input(1, axis))] = 1;
    }
    const Lengths shape = lowering.input_shape(0);
    const std::size_t count =
        builder.add_number(static_cast<double>(kernel::product(others)), shape);
    ElementWiseStep& step = builder.begin_element_wise(shape, {lowering.inputs[0], count});
    const StorageType type = storage_type(lowering.output_types[0].element_type);
    const auto convert = [&](StorageType from, StorageType to, ProgramValue value) {
        return from == to ? value : step.add(ElementWiseOperation::convert, from, to, value, value);
    };
    const ProgramValue delta =
        convert(type, StorageType::f64, builder.operand(step, lowering.inputs[0]));
    const ProgramValue quotient = step.add(ElementWiseOperation::divide, StorageType::f64,
                                           StorageType::f64, delta, builder.operand(step, count));
    const std::size_t divided = builder.add_value(
        {lowering.output_types[0].element_type, lowering.input_types[0].partial_shape});
    builder.end_element_wise(step, convert(StorageType::f64, type, quotient), divided);
    return {repeated(lowering, node, divided)};
}

Views matrix_multiply(const NodeLowering& lowering) {
    const auto& node = static_cast<const op::MatrixMultiply&>(lowering.node);
    const std::size_t result = lowering.new_output(0);
    lowering.builder.add_step(
        std::make_unique<MatrixMultiplyStep>(lowering.inputs[0], lowering.inputs[1], result,
                                             node.transpose_left(), node.transpose_right()));
    return {result};
}

Views relu_mask(const NodeLowering& lowering) {
    const auto& node = static_cast<const op::ReluMask&>(lowering.node);
    const std::size_t mask = lowering.builder.in_order(lowering.new_output(0));
    lowering.builder.add_step(std::make_unique<ReluMaskStep>(
        lowering.inputs[0], mask, lowering.axis_of_input(0, node.channel_axis()),
        node.upper_bound()));
    return {mask};
}

Views relu_mask_select(const NodeLowering& lowering) {
    const auto& node = static_cast<const op::ReluMaskSelect&>(lowering.node);
    const std::size_t mask = lowering.builder.in_order(lowering.inputs[1]);
    const std::size_t result = lowering.new_output(0);
    lowering.builder.add_step(std::make_unique<ReluMaskSelectStep>(
        lowering.inputs[0], mask, result, lowering.axis_of_input(0, node.channel_axis())));
    return {result};
}

bool is_empty(const Lengths& shape) {
    return std::ranges::find(shape, 0) != shape.end();
}

bool is_parameter(const Node& node) {
    return dynamic_cast<const Parameter*>(&node) != nullptr;
}

/// Whether a node's value is there before any step runs.
bool is_given(const Node& node) {
    return is_parameter(node) || dynamic_cast<const Constant*>(&node) != nullptr;
}

const KernelCall& call_of(const Node& node) {
    return *std::ranges::find(kernel_calls(), node.type_name(), &KernelCall::op_class);
}

/// The strides of the input decide about the order of its sums.
Views batch_norm(const NodeLowering& lowering) {
    const auto& node = static_cast<const op::BatchNormNode&>(lowering.node);
    const KernelCall& call = call_of(node);
    const std::string name = node.description() + " '" + node.friendly_name() + "'";
    if (call.needs_elements() && is_empty(lowering.input_shape(0))) {
        throw std::invalid_argument(
            name +
            ": input: expected at least one element per channel, since an empty batch has no "
            "statistics, got shape " +
            lowering.input_types[0].partial_shape.to_string());
    }
    std::vector<std::size_t> inputs = lowering.inputs;
    std::optional<WherePositionsCount> where;
    if (node.where()) {
        where = {inputs.back(), name, is_given(*node.where()->node())};
        inputs.pop_back();
    }
    for (std::size_t index = 0; index < inputs.size(); ++index) {
        if (call.inputs[index].role == op::Role::mask) {
            inputs[index] = lowering.builder.in_order(inputs[index]);
        }
    }
    lowering.builder.strides_matter_of(inputs[0]);
    std::vector<std::optional<std::size_t>> results(lowering.output_types.size());
    Views views(results.size());
    for (std::size_t index = 0; index < results.size(); ++index) {
        if (lowering.is_needed[index]) {
            views[index] = lowering.new_output(index);
            results[index] = call.outputs[index].role == op::Role::mask
                                 ? lowering.builder.in_order(views[index])
                                 : views[index];
        }
    }
    lowering.builder.add_step(std::make_unique<BatchNormStep>(call, std::move(inputs),
                                                              std::move(where), std::move(results),
                                                              node.batch_norm_attributes()));
    return views;
}

Views constant(const NodeLowering& lowering) {
    const auto& node = static_cast<const Constant&>(lowering.node);
    return {lowering.builder.add_constant(lowering.output_types[0], node.data().data())};
}

/// How one kind of node becomes steps.
struct Kind {
    std::string_view name;
    Views (*lower)(const NodeLowering& lowering);
    std::size_t inputs_read;  ///< the first ones, if there are; of others only the types count
};

template <typename Op>
constexpr Kind kind(Views (*lower)(const NodeLowering&)) {
    return {Op::class_name, lower, op::input_names_of<Op>.size()};
}

constexpr std::array primitive_kinds{
    Kind{Constant::class_name, constant, 0},
    kind<op::Add>(element_wise<ElementWiseOperation::add>),
    kind<op::Subtract>(element_wise<ElementWiseOperation::subtract>),
    kind<op::Multiply>(element_wise<ElementWiseOperation::multiply>),
    kind<op::Divide>(element_wise<ElementWiseOperation::divide>),
    kind<op::Negate>(element_wise<ElementWiseOperation::negate>),
    kind<op::SquareRoot>(element_wise<ElementWiseOperation::square_root>),
    kind<op::Relu>(relu),
    kind<op::ReluBackprop>(relu_backprop),
    kind<op::Convert>(convert),
    kind<op::Sum>(reduction<op::Sum>),
    kind<op::Mean>(reduction<op::Mean>),
    Kind{op::Broadcast::class_name, broadcast, 1},
    Kind{op::MeanBackprop::class_name, mean_backprop, 1},
    kind<op::MatrixMultiply>(matrix_multiply),
    kind<op::ReluMask>(relu_mask),
    kind<op::ReluMaskSelect>(relu_mask_select),
    kind<op::SelectWhere>(select_where),
};

template <typename... Ops>
struct BatchNormKinds {
    static constexpr std::array kinds{kind<Ops>(batch_norm)...};
};

constexpr auto& batch_norm_kinds = op::BatchNormFamily<BatchNormKinds>::kinds;

/// Null if no kernel computes nodes of this kind.
const Kind* kind_of(const Node& node) {
    for (const std::span<const Kind> kinds :
         {std::span<const Kind>(primitive_kinds), std::span<const Kind>(batch_norm_kinds)}) {
        const auto found = std::ranges::find(kinds, node.type_name(), &Kind::name);
        if (found != kinds.end()) {
            return &*found;
        }
    }
    return nullptr;
}

/// Which outputs the results depend on, by node; a node that is not listed is not run.
using Needed = std::unordered_map<const Node*, std::vector<bool>>;

Needed needed_outputs(const Function& function) {
    Needed needed;
    const auto need = [&](const Output& output) {
        std::vector<bool>& of_node = needed[output.node().get()];
        of_node.resize(output.node()->output_names().size());
        of_node[output.index()] = true;
    };
    for (const Output& result : function.results()) {
        need(result);
    }
    for (std::size_t index = function.nodes().size(); index-- > 0;) {
        const Node& node = *function.nodes()[index];
        if (needed.contains(&node) && !is_parameter(node)) {
            const std::size_t count =
                std::min(kind_of(node)->inputs_read, node.input_values().size());
            for (std::size_t input = 0; input < count; ++input) {
                need(node.input_values()[input]);
            }
        }
    }
    return needed;
}

void check_size(const Node& node, const TensorType& type) {
    if (!is_within_element_limit(NodeLowering::shape_of(type))) {
        throw std::invalid_argument(node.description() + " '" + node.friendly_name() +
                                    "': expected fewer than 2^56 elements, got " +
                                    type.to_string());
    }
}

/// The function's values, as far as its nodes have been visited.
class Values {
public:
    void set(const Node& node, std::vector<TensorType> types, Views views) {
        of_node_.emplace(&node, Of{std::move(types), std::move(views)});
    }
    const std::vector<TensorType>& types(const Node& node) const {
        return of_node_.at(&node).types;
    }
    std::size_t view(const Output& output) const {
        return of_node_.at(output.node().get()).views[output.index()];
    }
    std::vector<TensorType> input_types(const Node& node) const {
        std::vector<TensorType> types;
        for (const Output& input : node.input_values()) {
            types.push_back(of_node_.at(input.node().get()).types[input.index()]);
        }
        return types;
    }
    std::vector<std::size_t> input_views(const Node& node) const {
        std::vector<std::size_t> views;
        for (const Output& input : node.input_values()) {
            views.push_back(view(input));
        }
        return views;
    }

private:
    struct Of {
        std::vector<TensorType> types;
        Views views;
    };
    std::unordered_map<const Node*, Of> of_node_;
};

}  // namespace

bool has_kernel(const Node& node) {
    return is_parameter(node) || kind_of(node) != nullptr;
}

void check_nodes_have_kernels(const Function& function) {
    for (const std::shared_ptr<Node>& node : function.nodes()) {
        if (!has_kernel(*node)) {
            throw std::invalid_argument("no kernel computes " + node->description() + " '" +
                                        node->friendly_name() + "', which has no decomposition");
        }
    }
}

Plan make_plan(const Function& function, Backend backend,
               std::span<const TensorType> argument_types) {
    const Needed needed = needed_outputs(function);
    PlanBuilder builder(backend);
    Values values;
    for (std::size_t index = 0; index < function.nodes().size(); ++index) {
        const Node& node = *function.nodes()[index];
        if (index < argument_types.size()) {
            const TensorType& type = argument_types[index];
            check_size(node, type);
            values.set(node, {type}, {builder.add_argument(type)});
            continue;
        }
        const std::vector<TensorType> input_types = values.input_types(node);
        std::vector<TensorType> types = node.infer_output_types(input_types);
        for (const TensorType& type : types) {
            check_size(node, type);
        }
        const auto outputs = needed.find(&node);
        Views views(types.size());
        if (outputs != needed.end()) {
            views = kind_of(node)->lower({.node = node,
                                          .inputs = values.input_views(node),
                                          .input_types = input_types,
                                          .output_types = types,
                                          .is_needed = outputs->second,
                                          .builder = builder});
        }
        values.set(node, std::move(types), std::move(views));
    }
    std::vector<std::size_t> results;
    std::vector<TensorType> result_types;
    for (const Output& result : function.results()) {
        results.push_back(values.view(result));
        result_types.push_back(values.types(*result.node())[result.index()]);
    }
    return builder.finish(results, {argument_types.begin(), argument_types.end()},
                          std::move(result_types));
}

}  // namespace normgraph::runtime
