#pragma once

#include <algorithm>
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
/// take the same with one argument per input, an optional input as the last argument of all, and
/// call validate_and_infer_types() as the last statement.
template <typename Derived, typename Base = WithoutAttributes>
class OpNode : public Base {
public:
    /// The values of `attributes`, in their order.
    using Base::attribute_values;

    std::string_view type_name() const noexcept final { return Derived::class_name; }
    std::span<const std::string_view> input_names() const noexcept final {
        const std::span<const std::string_view> names = input_names_of<Derived>;
        return names.first(std::min(names.size(), this->input_values().size()));
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
    /// Of a node with these inputs; nullopt if it has none.
    static std::optional<Output> optional_input_of(const std::vector<Output>& inputs) {
        constexpr std::size_t required = Derived::signature.inputs.size();
        return inputs.size() > required ? std::optional(inputs[required]) : std::nullopt;
    }
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const final {
        const auto clone = [&]<std::size_t... index>(std::index_sequence<index...>) {
            return std::apply(
                [&](const auto&... values) {
                    const auto make = [&](const auto&... optional_input) {
                        return std::make_shared<Derived>(inputs[index]..., values..., friendly_name,
                                                         optional_input...);
                    };
                    if constexpr (Derived::signature.optional_input.has_value()) {
                        return make(optional_input_of(inputs));
                    } else {
                        return make();
                    }
                },
                this->attribute_values());
        };
        return clone(std::make_index_sequence<Derived::signature.inputs.size()>());
    }
};

}  // namespace normgraph::op
