#pragma once

#include <array>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "normgraph/op/op_node.hpp"
#include "normgraph/op/primitive_constraints.hpp"

/// Reductions and their opposites, by the axes that remain: a sum over all axes but the channel
/// axis has kept_axes {channel_axis}, whatever the rank; the sum of all elements has {}. Sums are
/// made in double and rounded once.
namespace normgraph::op {

/// What these ops have in common: a list of axes, which ascend; a negative one counts from the last
/// axis, -1 being the last.
class AxesNode : public Node {
public:
    const Axes& axes() const noexcept { return axes_; }

protected:
    AxesNode(std::vector<Output> inputs, Axes axes, std::string friendly_name)
        : Node{std::move(inputs), std::move(friendly_name)}, axes_{std::move(axes)} {}

    std::tuple<const Axes&> attribute_values() const { return {axes_}; }

private:
    Axes axes_;
};

/// Leaves the axes kept_axes and reduces all others. Constraints: P1, P4.
template <typename Derived>
class ReductionNode : public OpNode<Derived, AxesNode> {
public:
    static constexpr Signature<1, 1> signature{{{{"value"}}}, {{{"result"}}}};
    static constexpr std::tuple attributes{
        Attribute<Axes>{"kept_axes",
                        "the axes that remain, in ascending order; a negative one "
                        "counts from the last"}};
    static constexpr std::array<std::string_view, 2> constraint_labels{"P1", "P4"};
    static constexpr std::string_view remark =
        "The channel sums of a tensor have kept_axes=[channel_axis], whatever its rank; the sum "
        "of\n"
        "all elements has []. Sums are made in double and rounded once.";

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    ReductionNode(const Output& value, Axes kept_axes, std::string friendly_name = {})
        : OpNode<Derived, AxesNode>{{value}, std::move(kept_axes), std::move(friendly_name)} {
        this->validate_and_infer_types();
    }

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                                         const Axes& kept_axes) {
        return {infer_reduction(Derived::class_name, input_names_of<Derived>, inputs, kept_axes)};
    }
};

/// The sum of the elements along the axes that are not kept; +0 of none.
class Sum final : public ReductionNode<Sum> {
public:
    static constexpr std::string_view class_name = "Sum";
    static constexpr std::string_view documentation =
        "The sum along all axes but some; 0 of no elements.";
    using ReductionNode::ReductionNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// The sum divided by the number of elements it is made of; NaN of none.
class Mean final : public ReductionNode<Mean> {
public:
    static constexpr std::string_view class_name = "Mean";
    static constexpr std::string_view documentation =
        "The mean along all axes but some; NaN of no elements.";
    using ReductionNode::ReductionNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// Repeats the first input, whose axes stand at `axes` of the output, along the others. The output
/// has the shape of `like`; nothing else of `like` is read. Constraints: P1, P4, P5.
template <typename Derived>
class RepeatingNode : public OpNode<Derived, AxesNode> {
public:
    static constexpr std::tuple attributes{
        Attribute<Axes>{"axes",
                        "for each axis of the first input, the axis of like where it stands, "
                        "in ascending order; a negative one counts from the last"}};
    static constexpr std::array<std::string_view, 3> constraint_labels{"P1", "P4", "P5"};
    static constexpr std::string_view remark = "Of like nothing but the shape is read.";

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    RepeatingNode(const Output& value, const Output& like, Axes axes,
                  std::string friendly_name = {})
        : OpNode<Derived, AxesNode>{{value, like}, std::move(axes), std::move(friendly_name)} {
        this->validate_and_infer_types();
    }

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs, const Axes& axes) {
        return {infer_broadcast(Derived::class_name, input_names_of<Derived>, inputs, axes)};
    }
};

/// Each element of value along the axes of `like` that value has not. The adjoint of Sum.
class Broadcast final : public RepeatingNode<Broadcast> {
public:
    static constexpr std::string_view class_name = "Broadcast";
    static constexpr std::string_view documentation =
        "Repeat a value along the axes of another that it has not.\n\n"
        "A channel vector is repeated for each element with axes=[channel_axis], a scalar with [].";
    static constexpr Signature<2, 1> signature{{{{"value"}, {"like"}}}, {{{"result"}}}};
    using RepeatingNode::RepeatingNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// Broadcast of delta / n, n being the number of times that each element is repeated. The adjoint
/// of Mean.
class MeanBackprop final : public RepeatingNode<MeanBackprop> {
public:
    static constexpr std::string_view class_name = "MeanBackprop";
    static constexpr std::string_view documentation =
        "The gradient of a mean: delta / n for each element.\n\n"
        "n is the number of elements of like for each element of delta. axes are the mean's\n"
        "kept_axes.";
    static constexpr Signature<2, 1> signature{{{{"delta"}, {"like"}}}, {{{"result"}}}};
    using RepeatingNode::RepeatingNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
