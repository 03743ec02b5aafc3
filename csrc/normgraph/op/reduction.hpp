#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "normgraph/ir/node.hpp"
#include "normgraph/op/tensor_type.hpp"

/// Reductions and their opposites, by the axes that remain: a sum over all axes but the channel
/// axis has kept_axes {channel_axis}, whatever the rank; the sum of all elements has {}. Sums are
/// made in double and rounded once.
namespace normgraph::op {

/// What these ops have in common: a list of axes, which ascend; a negative one counts from the last
/// axis, -1 being the last.
class AxesNode : public Node {
public:
    const std::vector<std::int64_t>& axes() const noexcept { return axes_; }

protected:
    AxesNode(std::vector<Output> inputs, std::vector<std::int64_t> axes, std::string friendly_name);

private:
    std::vector<std::int64_t> axes_;
};

/// Leaves the axes kept_axes and reduces all others. Constraints: P1, P4.
template <typename Derived>
class ReductionNode : public AxesNode {
public:
    static constexpr std::array<std::string_view, 1> names_of_inputs{"value"};
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    ReductionNode(const Output& value, std::vector<std::int64_t> kept_axes,
                  std::string friendly_name = {});

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                                         const std::vector<std::int64_t>& kept_axes);

    std::string_view type_name() const noexcept final { return Derived::class_name; }
    std::span<const std::string_view> input_names() const noexcept final { return names_of_inputs; }
    std::span<const std::string_view> output_names() const noexcept final {
        return names_of_outputs;
    }
    void visit_attributes(AttributeVisitor& visitor) const final;

private:
    std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const final;
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const final;
};

/// The sum of the elements along the axes that are not kept; +0 of none.
class Sum final : public ReductionNode<Sum> {
public:
    static constexpr std::string_view class_name = "Sum";
    using ReductionNode::ReductionNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// The sum divided by the number of elements it is made of; NaN of none.
class Mean final : public ReductionNode<Mean> {
public:
    static constexpr std::string_view class_name = "Mean";
    using ReductionNode::ReductionNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// Repeats the first input, whose axes stand at `axes` of the output, along the others. The output
/// has the shape of `like`; nothing else of `like` is read. Constraints: P1, P4, P5.
template <typename Derived>
class RepeatingNode : public AxesNode {
public:
    static constexpr std::array<std::string_view, 1> names_of_outputs{"result"};

    /// Throws NodeValidationFailure. An empty friendly name stands for a generated one.
    RepeatingNode(const Output& value, const Output& like, std::vector<std::int64_t> axes,
                  std::string friendly_name = {});

    /// Throws NodeValidationFailure, std::invalid_argument for a wrong number of inputs.
    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs,
                                         const std::vector<std::int64_t>& axes);

    std::string_view type_name() const noexcept final { return Derived::class_name; }
    std::span<const std::string_view> input_names() const noexcept final {
        return Derived::names_of_inputs;
    }
    std::span<const std::string_view> output_names() const noexcept final {
        return names_of_outputs;
    }
    void visit_attributes(AttributeVisitor& visitor) const final;

private:
    std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const final;
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const final;
};

/// Each element of value along the axes of `like` that value has not. The adjoint of Sum.
class Broadcast final : public RepeatingNode<Broadcast> {
public:
    static constexpr std::string_view class_name = "Broadcast";
    static constexpr std::array<std::string_view, 2> names_of_inputs{"value", "like"};
    using RepeatingNode::RepeatingNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

/// Broadcast of delta / n, n being the number of times that each element is repeated. The adjoint
/// of Mean.
class MeanBackprop final : public RepeatingNode<MeanBackprop> {
public:
    static constexpr std::string_view class_name = "MeanBackprop";
    static constexpr std::array<std::string_view, 2> names_of_inputs{"delta", "like"};
    using RepeatingNode::RepeatingNode;

private:
    Deltas make_adjoints(const Deltas& deltas) override;
};

}  // namespace normgraph::op
