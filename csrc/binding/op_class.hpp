#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "binding/attributes.hpp"
#include "binding/conversion.hpp"
#include "binding/define_class.hpp"
#include "binding/documentation.hpp"
#include "binding/node_conversion.hpp"
#include "binding/op_conversion.hpp"
#include "binding/python_function.hpp"
#include "normgraph/op/batch_norm_node.hpp"

/// The Python class of an op, from the op's signature.
namespace normgraph::binding {

template <typename Value>
Value attribute_value(const op::Attribute<Value>& attribute, pybind11::handle given) {
    if (given) {
        return attribute_from_python(attribute, given);
    }
    if constexpr (std::is_arithmetic_v<Value>) {
        return attribute.default_value;
    } else {
        return Value{};
    }
}

/// The values of an op's attributes, from the arguments that begin with them.
template <typename Op>
auto attribute_values(Arguments arguments) {
    return [&]<std::size_t... index>(std::index_sequence<index...>) {
        // Braces convert in the order of the arguments: the first wrong one is reported.
        return std::tuple{attribute_value(std::get<index>(Op::attributes), arguments[index])...};
    }(std::make_index_sequence<std::tuple_size_v<decltype(Op::attributes)>>());
}

template <typename Op>
inline constexpr std::size_t input_count = Op::signature.inputs.size();

/// What `convert` makes of each input.
template <typename Op, typename Convert>
auto converted_inputs(Arguments arguments, const Convert& convert) {
    return [&]<std::size_t... index>(std::index_sequence<index...>) {
        return std::array{
            convert(std::string(Op::signature.inputs[index].name), arguments[index])...};
    }(std::make_index_sequence<input_count<Op>>());
}

template <typename Op>
inline constexpr bool has_optional_input = Op::signature.optional_input.has_value();

/// What `convert` makes of the optional input, which is the last argument; nullopt where it is left
/// out or None.
template <typename Op, typename Convert>
auto converted_optional_input(Arguments arguments, const Convert& convert) {
    const pybind11::handle given = arguments.back();
    const auto converted = [&] {
        return convert(std::string(Op::signature.optional_input->name), given);
    };
    return given && !given.is_none() ? std::optional(converted()) : std::nullopt;
}

template <typename Op>
std::shared_ptr<Op> construct(Arguments arguments) {
    const auto inputs = converted_inputs<Op>(arguments, output_from_python);
    const auto values = attribute_values<Op>(arguments.subspan(input_count<Op>));
    const pybind11::handle name =
        arguments[input_count<Op> + std::tuple_size_v<decltype(Op::attributes)>];
    std::string friendly_name = name ? friendly_name_from_python(name) : std::string();
    return std::apply(
        [&](const auto&... parts) {
            const auto make = [&](const auto&... optional_input) {
                return std::make_shared<Op>(parts..., std::move(friendly_name), optional_input...);
            };
            if constexpr (has_optional_input<Op>) {
                return make(converted_optional_input<Op>(arguments, output_from_python));
            } else {
                return make();
            }
        },
        std::tuple_cat(inputs, values));
}

template <typename Op>
pybind11::object infer(Arguments arguments) {
    const auto inputs = converted_inputs<Op>(arguments, tensor_type_from_python);
    std::vector<TensorType> types(inputs.begin(), inputs.end());
    if constexpr (has_optional_input<Op>) {
        if (auto type = converted_optional_input<Op>(arguments, tensor_type_from_python)) {
            types.push_back(*std::move(type));
        }
    }
    return std::apply([&](const auto&... values) { return to_python(Op::infer(types, values...)); },
                      attribute_values<Op>(arguments.subspan(input_count<Op>)));
}

/// The parameters of the constructor; those of `infer` without the name.
template <typename Op>
std::vector<PythonParameter> parameters_of(bool with_name) {
    std::vector<PythonParameter> parameters;
    for (const op::Port& port : Op::signature.inputs) {
        parameters.push_back({std::string(port.name)});
    }
    std::apply(
        [&](const auto&... attributes) {
            (parameters.push_back({std::string(attributes.name), default_text(attributes)}), ...);
        },
        Op::attributes);
    if (with_name) {
        parameters.push_back({"name", "None"});
    }
    if constexpr (has_optional_input<Op>) {
        parameters.push_back({std::string(Op::signature.optional_input->name), "None"});
    }
    return parameters;
}

template <typename Op>
std::vector<std::string_view> constraint_labels_of() {
    if constexpr (requires { Op::constraint_labels; }) {
        return {Op::constraint_labels.begin(), Op::constraint_labels.end()};
    } else {
        return op::constraints_of(
            Op::signature, {.has_epsilon = std::derived_from<Op, op::EpsilonNode>,
                            .has_upper_bound = requires(const Op& node) { node.upper_bound(); },
                            .has_count = std::derived_from<Op, op::CountNode>});
    }
}

template <typename Op>
OpText text_of() {
    OpText text{Op::documentation, {}, Op::signature, {}, constraint_labels_of<Op>()};
    if constexpr (requires { Op::remark; }) {
        text.remark = Op::remark;
    }
    std::apply(
        [&](const auto&... attributes) {
            (text.attributes.emplace_back(attributes.name, attributes.sentence), ...);
        },
        Op::attributes);
    return text;
}

/// Set where the class is defined. Never deleted: the interpreter may call until the process ends.
template <typename Op>
inline const Parameters* constructor_parameters = nullptr;

/// The slot tp_init. CPython calls it once for each object, after tp_new: the class cannot be
/// changed (see protect_classes), has no subclasses, and its `__init__` is pybind11's, which
/// refuses.
template <typename Op>
int initialize(PyObject* self, PyObject* positional, PyObject* keywords) {
    return call_from_python(
        [&] {
            const Parameters& parameters = *constructor_parameters<Op>;
            std::array<pybind11::handle, most_parameters> arguments;
            const auto used = std::span(arguments).first(parameters.count());
            const auto held = parameters.match(pybind11::handle(positional), keywords, used);
            const std::shared_ptr<Op> node = construct<Op>(used);
            auto* const instance = reinterpret_cast<pybind11::detail::instance*>(self);
            const auto holder =
                instance->get_value_and_holder(pybind11::detail::get_type_info(Py_TYPE(self)));
            holder.value_ptr() = node.get();
            try {
                holder.type->init_instance(instance, &node);
            } catch (...) {
                // Else it would be freed twice: with the object, and with `node`.
                holder.value_ptr() = nullptr;
                throw;
            }
            return 0;
        },
        -1);
}

/// As a property, unless the base class has it. A plain number, which epsilon is, can be set.
template <typename Op, std::size_t index, typename Class>
void define_attribute(Class& op_class) {
    static constexpr auto& attribute = std::get<index>(Op::attributes);
    if (std::derived_from<Op, op::BatchNormNode> &&
        attribute.name == std::get<0>(op::BatchNormNode::attributes).name) {
        return;
    }
    const auto get = [](const Op& self) -> pybind11::object {
        const auto value = std::get<index>(self.attribute_values());
        if constexpr (std::is_same_v<decltype(value), const op::Axes>) {
            return pybind11::tuple(pybind11::cast(value));
        } else {
            return pybind11::cast(value);
        }
    };
    if constexpr (std::is_same_v<decltype(attribute), const op::Attribute<double>&>) {
        op_class.def_property(
            attribute.name.data(), get,
            [](Op& self, const pybind11::object& value) {
                self.set_epsilon(attribute_from_python(attribute, value));
            },
            "Setting it to what is not finite or < 0 raises NodeValidationFailure (C1).");
    } else {
        op_class.def_property_readonly(attribute.name.data(), get, attribute.sentence.data());
    }
}

/// The attributes as properties, but for those that the base class has.
template <typename Op, typename Class>
void define_attributes(Class& op_class) {
    [&]<std::size_t... index>(std::index_sequence<index...>) {
        (define_attribute<Op, index>(op_class), ...);
    }(std::make_index_sequence<std::tuple_size_v<decltype(Op::attributes)>>());
}

/// What formats and tools ask of a class: the names of inputs and outputs, the kinds of the
/// attributes by name, and the names of the inputs and attributes that may be left out even there.
template <typename Op>
void describe_signature(pybind11::handle op_class) {
    pybind11::dict kinds;
    pybind11::list optional;
    const auto describe = [&]<typename Value>(const op::Attribute<Value>& attribute) {
        kinds[attribute.name.data()] = kind_of(attribute);
        if (is_optional_value<Value>) {
            optional.append(attribute.name.data());
        }
    };
    std::apply([&](const auto&... attributes) { (describe(attributes), ...); }, Op::attributes);
    op_class.attr("input_names") = names_to_python(Op::signature.inputs);
    op_class.attr("optional_inputs") = names_to_python(op::optional_ports(Op::signature));
    op_class.attr("output_names") = names_to_python(Op::signature.outputs);
    op_class.attr("attribute_kinds") = kinds;
    op_class.attr("optional_attributes") = pybind11::tuple(optional);
}

/// Defines the class of an op in the module.
template <typename Op, typename Base>
void define_op_class(pybind11::module_& module) {
    constructor_parameters<Op> =
        new Parameters(std::string(Op::class_name), parameters_of<Op>(true));
    const std::string documentation =
        with_text_signature(*constructor_parameters<Op>, class_documentation(text_of<Op>()));
    auto op_class = define_class<Op, Base, std::shared_ptr<Op>>(
        module, Op::class_name.data(), documentation.c_str(), pybind11::is_final());
    op_class.attr("__module__") = "normgraph.op";
    auto* const type = reinterpret_cast<PyTypeObject*>(op_class.ptr());
    type->tp_init = initialize<Op>;
    PyType_Modified(type);
    define_function<infer<Op>>(op_class, "infer", parameters_of<Op>(false), infer_doc);
    define_attributes<Op>(op_class);
    describe_signature<Op>(op_class);
}

}  // namespace normgraph::binding
