#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "normgraph/ir/node.hpp"
#include "normgraph/op/signature.hpp"
#include "normgraph/op/tensor_type.hpp"

namespace normgraph::op {

/// The base class of ops without attributes.
class WithoutAttributes : public Node {
public:
    static constexpr std::tuple<> attributes{};

protected:
    using Node::Node;
    std::tuple<> attribute_values() const { return {}; }
};

/// Names, inference and cloning of an op, from what Derived says of itself:
///
///     class_name   the name of the class
///     signature    inputs and outputs
///     attributes   a tuple of Attribute (or in Base)
///     infer        a static function of the inputs' types and the attributes' values
///
/// Base holds the attributes: `attribute_values()` returns a tuple of them, and its constructor
/// takes the inputs, the attributes and the friendly name. The constructors of Derived are public,
/// take the same with one argument per input, and call validate_and_infer_types() as the last
/// statement.
template <typename Derived, typename Base = WithoutAttributes>
class OpNode : public Base {
public:
    /// The values of `attributes`, in their order.
    using Base::attribute_values;

    std::string_view type_name() const noexcept final { return Derived::class_name; }
    std::span<const std::string_view> input_names() const noexcept final {
        return input_names_of<Derived>;
    }
    std::span<const std::string_view> output_names() const noexcept final {
        return output_names_of<Derived>;
    }
    void visit_attributes(AttributeVisitor& visitor) const final {
        const auto values = this->attribute_values();
        [&]<std::size_t... index>(std::index_sequence<index...>) {
            (show(visitor, std::get<index>(Derived::attributes).name, std::get<index>(values)),
             ...);
        }(std::make_index_sequence<std::tuple_size_v<decltype(values)>>());
    }

protected:
    using Base::Base;

private:
    template <typename Value>
    static void show(AttributeVisitor& visitor, std::string_view name, const Value& value) {
        visitor.on_attribute(name, value);
    }
    /// Not shown where it is absent: saved graphs and drawings stay as they were.
    template <typename Value>
    static void show(AttributeVisitor& visitor, std::string_view name,
                     const std::optional<Value>& value) {
        if (value) {
            visitor.on_attribute(name, *value);
        }
    }

    std::vector<TensorType> infer_types(const std::vector<TensorType>& inputs) const final {
        return std::apply([&](const auto&... values) { return Derived::infer(inputs, values...); },
                          this->attribute_values());
    }
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const final {
        const auto clone = [&]<std::size_t... index>(std::index_sequence<index...>) {
            return std::apply(
                [&](const auto&... values) {
                    return std::make_shared<Derived>(inputs[index]..., values..., friendly_name);
                },
                this->attribute_values());
        };
        return clone(std::make_index_sequence<Derived::signature.inputs.size()>());
    }
};

}  // namespace normgraph::op
