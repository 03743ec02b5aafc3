#include <pybind11/pybind11.h>

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "binding/conversion.hpp"
#include "binding/jax/handlers.hpp"
#include "binding/jax/shard_handlers.hpp"
#include "binding/kernel_function.hpp"
#include "binding/op_conversion.hpp"
#include "binding/position_mask.hpp"
#include "binding/python_function.hpp"
#include "binding/register.hpp"
#include "normgraph/indices/axis.hpp"
#include "normgraph/op/batch_norm_node.hpp"
#include "normgraph/runtime/batch_part.hpp"
#include "normgraph/runtime/kernel_call.hpp"
#include "normgraph/runtime/position_mask.hpp"

namespace py = pybind11;

/// What normgraph.jax needs; JAX itself is not needed to build it.
namespace normgraph::binding {
namespace {

void add_targets(std::span<const jax::Target> targets, py::dict& all) {
    for (const jax::Target& target : targets) {
        all[py::str(target.name.data(), target.name.size())] =
            py::capsule(reinterpret_cast<void*>(target.handler), jax::ffi::capsule_name);
    }
}

py::dict jax_targets() {
    py::dict all;
    add_targets(jax::kernel_targets(), all);
    add_targets(jax::conversion_targets(), all);
    add_targets(jax::shard_targets(), all);
    return all;
}

const runtime::KernelCall& call_of_class(const std::string& op_class) {
    for (const runtime::KernelCall& call : runtime::kernel_calls()) {
        if (call.op_class == op_class) {
            return call;
        }
    }
    throw std::invalid_argument("op_class: expected that of an op of the family, got " + op_class);
}

/// Shape and type of an array that exists in a trace alone.
class TracedArray {
public:
    void set(py::handle type_and_shape) {
        const auto pair = py::reinterpret_borrow<py::tuple>(type_and_shape);
        type_ = element_type_from_python("dtype", pair[0]);
        for (const py::handle length : py::reinterpret_borrow<py::tuple>(pair[1])) {
            shape_.push_back(length.cast<std::int64_t>());
        }
        auto stride = static_cast<std::int64_t>(type_.size());
        strides_.resize(shape_.size());
        for (std::size_t axis = shape_.size(); axis-- > 0;) {
            strides_[axis] = stride;
            stride *= shape_[axis];
        }
    }
    runtime::Array array() const { return {type_, shape_, strides_}; }

private:
    element::Type type_;
    std::vector<std::int64_t> shape_, strides_;
};

/// (type, shape); of statistics and sums, which are doubles, that of their bits.
py::tuple result_to_python(op::Role role, const TensorType& type) {
    if (!op::is_statistic(role) && !op::is_sum(role)) {
        return py::make_tuple(numpy_name(type.element_type), to_python(type.partial_shape));
    }
    std::vector<Dimension> dimensions = type.partial_shape.dimensions();
    dimensions.emplace_back(2);
    return py::make_tuple("uint32", to_python(PartialShape(std::move(dimensions))));
}

py::list jax_results(py::handle op_class, py::handle inputs, py::handle epsilon,
                     py::handle channel_axis, py::handle upper_bound) {
    const runtime::KernelCall& call = call_of_class(op_class.cast<std::string>());
    op::BatchNormAttributes attributes{epsilon_from_python(epsilon),
                                       channel_axis_from_python(channel_axis)};
    if (!upper_bound.is_none()) {
        attributes.upper_bound = upper_bound_from_python(upper_bound);
    }
    if (call.has_statistics()) {
        attributes.statistics_type = element::f64;
    }
    const auto given = py::reinterpret_borrow<py::tuple>(inputs);
    std::array<TracedArray, runtime::most_inputs> traced;
    std::array<runtime::OptionalArray, runtime::most_inputs> arrays;
    for (std::size_t index = 0; index < call.inputs.size(); ++index) {
        const py::object input = given[index];
        if (!input.is_none()) {
            traced[index].set(input);
            arrays[index] = traced[index].array();
        }
    }
    const auto types =
        validated(call, std::span(arrays).first(call.inputs.size()), attributes, false);
    py::list results;
    for (std::size_t index = 0; index < types->size(); ++index) {
        results.append(result_to_python(call.outputs[index].role, (*types)[index]));
    }
    return results;
}

std::int64_t jax_nodes_size(py::handle sums, py::handle input, py::handle channel_axis) {
    TracedArray traced;
    traced.set(input);
    return runtime::BatchPart::byte_count(PyObject_IsTrue(sums.ptr()) == 1
                                              ? runtime::PartKind::backprop_sums
                                              : runtime::PartKind::statistics,
                                          traced.array(), channel_axis_from_python(channel_axis));
}

/// Refuses a mask that does not go with an input that the op has accepted.
void jax_check_mask(py::handle input, py::handle channel_axis, py::handle where,
                    py::handle lengths) {
    TracedArray data, mask;
    data.set(input);
    const std::int64_t axis = axis_from_front(channel_axis_from_python(channel_axis),
                                              static_cast<std::int64_t>(data.array().shape.size()));
    if (is_given(where) && is_given(lengths)) {
        throw std::invalid_argument("lengths: expected None beside where, got both");
    }
    if (is_given(where)) {
        mask.set(where);
        runtime::check_where(mask.array(), data.array(), axis);
    } else if (is_given(lengths)) {
        mask.set(lengths);
        runtime::check_lengths(mask.array(), data.array(), axis);
    }
}

/// {class of the op: (names of the inputs, names of the outputs)}.
py::dict jax_signatures() {
    py::dict all;
    for (const runtime::KernelCall& call : runtime::kernel_calls()) {
        all[py::str(call.op_class.data(), call.op_class.size())] =
            py::make_tuple(names_to_python(call.inputs), names_to_python(call.outputs));
    }
    return all;
}

}  // namespace

void register_jax(py::module_& module) {
    define_function<Unpacked<&jax_targets>::call>(
        module, "jax_targets", {},
        "The handlers of XLA's FFI as capsules, by name: the ops of the family by their class, and "
        "what normgraph.jax needs besides.");
    define_function<Unpacked<&jax_signatures>::call>(
        module, "jax_signatures", {},
        "The names of the inputs and of the outputs of the ops that are handlers, by class.");
    define_function<Unpacked<&jax_results>::call>(
        module, "jax_results",
        {{"op_class"}, {"inputs"}, {"epsilon"}, {"channel_axis"}, {"upper_bound"}},
        "The (type, shape) of each output of an op for inputs of such (type, shape), or None. "
        "Statistics and sums are the bits of doubles, uint32 (C, 2). Raises what the function on "
        "arrays raises.");
    define_function<Unpacked<&jax_check_mask>::call>(
        module, "jax_check_mask", {{"input"}, {"channel_axis"}, {"where"}, {"lengths"}},
        "Raises ValueError, as the functions on arrays do, for a mask of such (type, shape) that "
        "does not go with such an input. What is None is not given.");
    define_function<Unpacked<&jax_nodes_size>::call>(
        module, "jax_nodes_size", {{"sums"}, {"input"}, {"channel_axis"}},
        "How many bytes the nodes of a shard of this (type, shape) take: those of the sums of a "
        "backward pass or, where sums is False, those of statistics.");
}

}  // namespace normgraph::binding
