#include "binding/node_conversion.hpp"

#include <pybind11/stl.h>

#include <cstdint>
#include <stdexcept>

#include "binding/conversion.hpp"
#include "binding/instances.hpp"
#include "binding/python_errors.hpp"

namespace py = pybind11;

namespace normgraph::binding {

namespace {

class AttributeCollector final : public AttributeVisitor {
public:
    void on_attribute(std::string_view name, double value) override {
        set(name, py::float_(value));
    }
    void on_attribute(std::string_view name, std::int64_t value) override {
        set(name, py::int_(value));
    }
    void on_attribute(std::string_view name, bool value) override { set(name, py::bool_(value)); }
    void on_attribute(std::string_view name, const std::vector<std::int64_t>& value) override {
        set(name, py::tuple(py::cast(value)));
    }
    void on_attribute(std::string_view name, const std::string& value) override {
        set(name, py::str(value));
    }
    void on_attribute(std::string_view name, element::Type value) override {
        set(name, py::cast(value));
    }
    void on_attribute(std::string_view name, const PartialShape& value) override {
        set(name, py::cast(value));
    }
    void on_attribute(std::string_view name, std::span<const std::byte> value) override {
        set(name, py::bytes(reinterpret_cast<const char*>(value.data()), value.size()));
    }

    const py::dict& attributes() const { return attributes_; }

private:
    void set(std::string_view name, const py::object& value) {
        attributes_[py::str(name.data(), name.size())] = value;
    }

    py::dict attributes_;
};

/// Python's id(), the key in copy.deepcopy's memo.
py::int_ identity(py::handle object) {
    return py::int_(reinterpret_cast<std::uintptr_t>(object.ptr()));
}

/// An id is good only while its object lives: copy.deepcopy keeps the originals in a list of the
/// memo, under the memo's own id.
void keep_alive(const py::object& original, const py::dict& memo) {
    memo.attr("setdefault")(identity(memo), py::list()).attr("append")(original);
}

}  // namespace

Output output_from_python(const std::string& argument, py::handle object) {
    if (is_instance<Output>(object)) {
        return object.cast<Output>();
    }
    if (!is_instance<Node>(object)) {
        throw py::type_error(argument + ": expected a Node or an Output, got " + describe(object));
    }
    try {
        return object.cast<std::shared_ptr<Node>>();
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(argument + ": " + error.what());
    }
}

std::vector<Output> outputs_from_python(const std::string& argument, py::handle object) {
    std::vector<Output> outputs;
    for (const py::handle item :
         sequence_from_python(argument, "a sequence of nodes and outputs", object)) {
        outputs.push_back(
            output_from_python(argument + "[" + std::to_string(outputs.size()) + "]", item));
    }
    return outputs;
}

std::shared_ptr<Function> function_from_python(const std::string& argument, py::handle object) {
    if (!is_instance<Function>(object)) {
        throw py::type_error(argument + ": expected a Function, got " + describe(object));
    }
    return object.cast<std::shared_ptr<Function>>();
}

std::vector<std::shared_ptr<Parameter>> parameters_from_python(const std::string& argument,
                                                               py::handle object) {
    std::vector<std::shared_ptr<Parameter>> parameters;
    for (const py::handle item :
         sequence_from_python(argument, "a sequence of parameters", object)) {
        if (!is_instance<Parameter>(item)) {
            throw py::type_error(argument + "[" + std::to_string(parameters.size()) +
                                 "]: expected a Parameter, got " + describe(item));
        }
        parameters.push_back(item.cast<std::shared_ptr<Parameter>>());
    }
    return parameters;
}

py::dict attributes_of(const Node& node) {
    AttributeCollector collector;
    node.visit_attributes(collector);
    return collector.attributes();
}

py::object copy_node(const std::shared_ptr<Node>& node, const py::dict& memo) {
    const py::object original = py::cast(node);
    const py::int_ key = identity(original);
    if (!memo.contains(key)) {
        std::vector<Output> inputs;
        for (const Output& input : node->input_values()) {
            inputs.push_back(copied_output(input, memo));
        }
        memo[key] = py::cast(node->clone_with_new_inputs(inputs, node->friendly_name()));
        keep_alive(original, memo);
    }
    return memo[key];
}

Output copied_output(const Output& output, const py::dict& memo) {
    const py::object copy = memo[identity(py::cast(output.node()))];
    if (!is_instance<Node>(copy)) {
        throw py::type_error("memo: expected a Node as the copy of " +
                             output.node()->friendly_name() + ", got " + describe(copy));
    }
    return {copy.cast<std::shared_ptr<Node>>(), output.index()};
}

}  // namespace normgraph::binding
