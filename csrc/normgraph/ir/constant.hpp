#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "normgraph/ir/node.hpp"

namespace normgraph {

/// A value that is part of the graph. Its bytes never change, and clones share them.
class Constant final : public Node {
public:
    static constexpr std::string_view class_name = "Constant";
    static constexpr std::array<std::string_view, 1> names_of_outputs{"output"};

    /// `data` are the elements in row-major order, in this machine's byte order. Throws
    /// std::invalid_argument for a dynamic element type, a shape that is not static, a number of
    /// bytes that is not the shape's, and a boolean that is neither 0 nor 1.
    Constant(element::Type element_type, PartialShape shape, std::vector<std::byte> data,
             std::string friendly_name = {});

    /// A number as a tensor of rank 0, rounded once to the nearest of the type's, ties to even.
    /// Throws std::invalid_argument for a type that is not real, and for a finite number that would
    /// become infinite.
    static std::shared_ptr<Constant> scalar(double number, element::Type element_type,
                                            std::string friendly_name = {});

    element::Type element_type() const noexcept { return type_.element_type; }
    /// Static.
    const PartialShape& shape() const noexcept { return type_.partial_shape; }
    std::span<const std::byte> data() const noexcept { return *data_; }

    std::string_view type_name() const noexcept override { return class_name; }
    std::span<const std::string_view> input_names() const noexcept override { return {}; }
    std::span<const std::string_view> output_names() const noexcept override {
        return names_of_outputs;
    }
    void visit_attributes(AttributeVisitor& visitor) const override;

private:
    Constant(const Constant& other, std::string friendly_name);

    std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const override;
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const override;

    TensorType type_;
    std::shared_ptr<const std::vector<std::byte>> data_;
};

}  // namespace normgraph
