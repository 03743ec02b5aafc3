#include "binding/kernel_function.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "binding/array_argument.hpp"
#include "binding/attributes.hpp"
#include "binding/batch_part.hpp"
#include "binding/conversion.hpp"
#include "binding/nested_call.hpp"
#include "binding/new_array.hpp"
#include "binding/position_mask.hpp"
#include "binding/python_errors.hpp"
#include "binding/without_gil.hpp"
#include "normgraph/ir/node_validation_failure.hpp"
#include "normgraph/ir/text.hpp"
#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/op/batch_norm_node.hpp"
#include "normgraph/runtime/memory_pool.hpp"

namespace py = pybind11;

namespace normgraph::binding {
namespace {

using runtime::KernelCall;
using runtime::OptionalArray;

using runtime::most_inputs;
using runtime::most_outputs;

// A backward pass with a mask; an op with statistics has fewer inputs and two attributes more.
static_assert(most_parameters == most_inputs + 9);

/// The arguments behind the inputs; null where one is left out.
struct Options {
    py::handle epsilon, channel_axis, statistics_type, upper_bound, out, outputs, num_threads,
        implementation;
    py::handle given;  ///< the reduction: see given_reduction_name()
    py::handle where, lengths;
};

/// In the order of `kernel_parameters`.
Options options_of(const KernelCall& call, Arguments arguments) {
    const py::handle* next = arguments.data() + call.inputs.size();
    Options options;
    options.epsilon = *next++;
    options.channel_axis = *next++;
    if (call.has_statistics()) {
        options.statistics_type = *next++;
    }
    if (call.applies_relu) {
        options.upper_bound = *next++;
    }
    options.out = *next++;
    if (call.has_several_outputs()) {
        options.outputs = *next++;
    }
    options.num_threads = *next++;
    options.implementation = *next++;
    if (!given_reduction_name(call).empty()) {
        options.given = *next++;
        options.where = *next++;
        options.lengths = *next++;
    }
    return options;
}

/// The arrays of one argument list; absent ones are an optional input left out, or an output that
/// is not wanted.
template <std::size_t most>
class ArrayArguments {
public:
    explicit ArrayArguments(std::size_t count) : count_(count) {}

    void borrow(std::size_t index, const ArgumentName& name, py::handle object) {
        arguments_[index].borrow(name, object);
        arguments_[index].set_view(views_[index].emplace());
    }
    void borrow_new(std::size_t index, element::Type type, const py::array& array) {
        arguments_[index].borrow_new(type, array);
        arguments_[index].set_view(views_[index].emplace());
    }
    std::span<const OptionalArray> views() const { return {views_.data(), count_}; }

private:
    std::array<ArrayArgument, most> arguments_;
    std::array<OptionalArray, most> views_;
    std::size_t count_;
};
using Inputs = ArrayArguments<most_inputs>;
using Outputs = ArrayArguments<most_outputs>;

void borrow_inputs(const KernelCall& call, Arguments objects, Inputs& inputs) {
    for (std::size_t index = 0; index < objects.size(); ++index) {
        const op::Port& port = call.inputs[index];
        if (!objects[index].is_none() || !op::is_optional(port)) {
            inputs.borrow(index, {port.name, std::nullopt, port.role}, objects[index]);
        }
    }
}

std::string quoted_list(std::span<const op::Port> ports) {
    std::vector<std::string> quoted;
    for (const op::Port& port : ports) {
        // No sum of texts, in which GCC 12 sees a copy that is too long (GCC bug 105651).
        quoted.push_back(std::string("'").append(port.name).append("'"));
    }
    return join(quoted, ", ");
}

std::size_t output_index(const KernelCall& call, py::handle name) {
    for (std::size_t index = 0; index < call.outputs.size(); ++index) {
        if (py::isinstance<py::str>(name) &&
            PyUnicode_CompareWithASCIIString(name.ptr(), call.outputs[index].name.data()) == 0) {
            return index;
        }
    }
    throw std::invalid_argument("outputs: expected names out of " + quoted_list(call.outputs) +
                                ", got " + describe(name));
}

using Selection = std::bitset<most_outputs>;

/// Which outputs `outputs=` selects; None selects all.
Selection selected_outputs(const KernelCall& call, py::handle names) {
    Selection selected;
    if (!is_given(names)) {
        return selected.set();
    }
    const std::string expected = "a tuple of names out of " + quoted_list(call.outputs);
    for (const py::handle name : items_from_python("outputs", expected, names)) {
        const std::size_t index = output_index(call, name);
        if (selected[index]) {
            throw std::invalid_argument("outputs: expected each name once, got '" +
                                        std::string(call.outputs[index].name) + "' twice");
        }
        selected.set(index);
    }
    if (selected.none()) {
        throw std::invalid_argument("outputs: expected at least one name out of " +
                                    quoted_list(call.outputs) + ", got none");
    }
    return selected;
}

/// One per output; null where there is none.
using Objects = std::array<py::object, most_outputs>;

/// `out=` as one entry per output: a tuple is taken as it is, anything else is the first output's.
Objects out_entries(const KernelCall& call, py::handle out) {
    const std::size_t count = call.outputs.size();
    Objects entries;
    if (!is_given(out)) {
        return entries;
    }
    if (!py::isinstance<py::tuple>(out)) {
        if (py::isinstance<py::list>(out)) {
            throw py::type_error("out: expected an array or a tuple of " + std::to_string(count) +
                                 " arrays or None, got a list");
        }
        entries[0] = py::reinterpret_borrow<py::object>(out);
        return entries;
    }
    const auto tuple = py::reinterpret_borrow<py::tuple>(out);
    if (tuple.size() != count) {
        throw std::invalid_argument("out: expected a tuple of " + std::to_string(count) +
                                    " arrays or None (" + quoted_list(call.outputs) +
                                    "), got a tuple of " + std::to_string(tuple.size()));
    }
    for (std::size_t index = 0; index < count; ++index) {
        if (!tuple[index].is_none()) {
            entries[index] = tuple[index];
        }
    }
    return entries;
}

ArgumentName out_name(const KernelCall& call, std::size_t index) {
    return {call.outputs[index].name, index, call.outputs[index].role};
}

/// The element-wise output (the first) may be the same view as an input; nothing else may overlap.
void check_overlap(const KernelCall& call, std::size_t index, std::span<const OptionalArray> inputs,
                   std::span<const OptionalArray> outputs) {
    const runtime::Array& out = *outputs[index];
    for (std::size_t other = 0; other < inputs.size(); ++other) {
        if (!inputs[other] || (index == 0 && are_identical_views(out, *inputs[other]))) {
            continue;
        }
        if (share_memory(out, *inputs[other])) {
            throw std::invalid_argument(
                out_name(call, index).text() + ": expected memory of its own" +
                (index == 0 ? ", or exactly an input's array" : "") +
                ", got an array that overlaps " + std::string(call.inputs[other].name));
        }
    }
    for (std::size_t other = 0; other < index; ++other) {
        if (outputs[other] && share_memory(out, *outputs[other])) {
            throw std::invalid_argument(
                out_name(call, index).text() +
                ": expected memory of its own, got an array that overlaps " +
                out_name(call, other).text());
        }
    }
}

/// Borrows the arrays that `out=` gives.
void borrow_outputs(const KernelCall& call, const Selection& selected, const Objects& objects,
                    Outputs& outputs) {
    for (std::size_t index = 0; index < call.outputs.size(); ++index) {
        if (!objects[index]) {
            continue;
        }
        const ArgumentName name = out_name(call, index);
        if (!selected[index]) {
            throw std::invalid_argument(name.text() +
                                        ": expected None, as outputs= does not select it");
        }
        outputs.borrow(index, name, objects[index]);
    }
}

/// Checks all arrays that `out=` gives before anything is written.
void check_outputs(const KernelCall& call, const std::vector<TensorType>& types,
                   std::span<const OptionalArray> inputs, std::span<const OptionalArray> outputs) {
    for (std::size_t index = 0; index < types.size(); ++index) {
        if (outputs[index]) {
            check_output(out_name(call, index), *outputs[index], types[index]);
            check_overlap(call, index, inputs, outputs);
        }
    }
}

/// Makes the arrays of the selected outputs that `out=` does not give.
void allocate_outputs(const KernelCall& call, const std::vector<TensorType>& types,
                      const runtime::Array& input, const Selection& selected, Objects& objects,
                      Outputs& outputs) {
    for (std::size_t index = 0; index < types.size(); ++index) {
        if (selected[index] && !objects[index]) {
            py::array array = op::is_data(call.outputs[index].role) ? new_array_like(input)
                                                                    : new_array(types[index]);
            outputs.borrow_new(index, types[index].element_type, array);
            objects[index] = std::move(array);
        }
    }
}

/// Whether the types of two inputs are one by C3 and C4: those of the data, of gamma and beta, of
/// mean and variance.
bool share_type(op::Role left, op::Role right) {
    return op::is_data(left) == op::is_data(right) &&
           op::is_statistic(left) == op::is_statistic(right) && left != op::Role::mask &&
           right != op::Role::mask;
}

/// The type of a channel vector that fits without a loss: f64 where one of two statistics is f64,
/// else f32 beside 16-bit data, else the data's own.
element::Type fitting_vector_type(const KernelCall& call, std::span<const OptionalArray> inputs,
                                  op::Role role) {
    const element::Type data = inputs[0]->element_type;
    if (op::is_statistic(role)) {
        for (std::size_t index = 1; index < inputs.size(); ++index) {
            if (inputs[index] && op::is_statistic(call.inputs[index].role) &&
                inputs[index]->element_type == element::f64) {
                return element::f64;
            }
        }
    }
    return data.is_sixteen_bit_real() ? element::f32 : data;
}

/// Whether the element type of this input violates C3, or C4 on its own or beside another one.
bool is_misfit(const KernelCall& call, std::span<const OptionalArray> inputs, std::size_t index) {
    const op::Role role = call.inputs[index].role;
    const element::Type type = inputs[index]->element_type;
    if (op::is_channel_vector(role) && !op::vector_type_fits(role, type, inputs[0]->element_type)) {
        return true;
    }
    for (std::size_t other = 0; other < inputs.size(); ++other) {
        if (inputs[other] && share_type(role, call.inputs[other].role) &&
            inputs[other]->element_type != type) {
            return true;
        }
    }
    return false;
}

/// "gamma.astype('float32'), beta.astype('float32')": the inputs whose element type does not fit
/// input's, or that of the others they share it with.
std::string conversions(const KernelCall& call, std::span<const OptionalArray> inputs) {
    const element::Type data_type = inputs[0]->element_type;
    std::vector<std::string> texts;
    for (std::size_t index = 1; index < inputs.size(); ++index) {
        if (!inputs[index] || !inputs[index]->element_type.is_real()) {
            continue;
        }
        const op::Role role = call.inputs[index].role;
        const element::Type expected =
            op::is_channel_vector(role) ? fitting_vector_type(call, inputs, role) : data_type;
        if (inputs[index]->element_type != expected && is_misfit(call, inputs, index)) {
            texts.push_back(std::string(call.inputs[index].name) + ".astype('" +
                            numpy_name(expected) + "')");
        }
    }
    return join(texts, ", ");
}

op::BatchNormAttributes attributes_from_python(const Options& options) {
    op::BatchNormAttributes attributes{op::default_epsilon, op::default_channel_axis};
    if (options.epsilon) {
        attributes.epsilon = epsilon_from_python(options.epsilon);
    }
    if (options.channel_axis) {
        attributes.channel_axis = channel_axis_from_python(options.channel_axis);
    }
    if (is_given(options.statistics_type)) {
        attributes.statistics_type =
            attribute_from_python(statistics_type_attribute, options.statistics_type);
    }
    if (is_given(options.upper_bound)) {
        attributes.upper_bound = upper_bound_from_python(options.upper_bound);
    }
    return attributes;
}

/// The type of the first array that `out=` gives for mean or variance and that has a type which
/// goes with the data; nullopt if there is none, or for an op that has no such output.
std::optional<element::Type> type_of_given_statistics(const KernelCall& call, element::Type data,
                                                      std::span<const OptionalArray> outputs) {
    for (std::size_t index = 0; index < call.outputs.size(); ++index) {
        const op::Role role = call.outputs[index].role;
        if (op::is_statistic(role) && outputs[index] &&
            op::vector_type_fits(role, outputs[index]->element_type, data)) {
            return outputs[index]->element_type;
        }
    }
    return std::nullopt;
}

/// One object per output; what is not selected is null.
Objects run(const KernelCall& call, Arguments input_objects, const Options& options) {
    runtime::release_expired_memory();
    const std::int64_t num_threads = num_threads_from_python(options.num_threads);
    const kernel::Implementation& implementation =
        implementation_from_python(options.implementation);
    op::BatchNormAttributes attributes = attributes_from_python(options);
    Inputs inputs(call.inputs.size());
    borrow_inputs(call, input_objects, inputs);
    const Selection selected = selected_outputs(call, options.outputs);
    Objects objects = out_entries(call, options.out);
    Outputs outputs(call.outputs.size());
    borrow_outputs(call, selected, objects, outputs);
    if (!attributes.statistics_type) {
        attributes.statistics_type =
            type_of_given_statistics(call, inputs.views()[0]->element_type, outputs.views());
    }
    // Shared, since Python code may run before the kernel does (where overlap is looked for, where
    // arrays are made), and may call any kernel: nothing here refers to what that could replace.
    GivenPart given = given_part_from_python(call, options.given);
    const std::shared_ptr<const std::vector<TensorType>> types =
        validated(call, inputs.views(), attributes, given.is_given());
    const runtime::Array& input = *inputs.views()[0];
    const std::optional<kernel::CountedPositions> positions =
        positions_from_python(options.where, options.lengths, input, attributes.channel_axis);
    if (positions && positions->count() == 0 && call.needs_elements() && !given.is_given()) {
        throw std::invalid_argument(std::string(is_given(options.where) ? "where" : "lengths") +
                                    ": expected at least one position that counts, got none");
    }
    given.bind(call, inputs.views(), attributes.channel_axis, positions ? &*positions : nullptr);
    check_outputs(call, *types, inputs.views(), outputs.views());
    allocate_outputs(call, *types, input, selected, objects, outputs);
    const auto compute = [&] {
        call.run(inputs.views(), outputs.views(), attributes, given.reduction(), num_threads,
                 implementation);
    };
    if (is_worth_the_lock(input.shape)) {
        without_gil(compute);
    } else {
        compute();
    }
    return objects;
}

/// The named tuple of these objects, made as tuple.__new__ makes one, but without the two tuples
/// that its arguments would be.
py::object as_result(py::handle type, std::span<const py::object> objects) {
    auto* const result_type = reinterpret_cast<PyTypeObject*>(type.ptr());
    const auto count = static_cast<Py_ssize_t>(objects.size());
    auto result = py::reinterpret_steal<py::object>(result_type->tp_alloc(result_type, count));
    if (!result) {
        throw py::error_already_set();
    }
#if PY_VERSION_HEX >= 0x030E0000
    reinterpret_cast<PyTupleObject*>(result.ptr())->ob_hash = -1;  // it is not known yet
#endif
    for (Py_ssize_t index = 0; index < count; ++index) {
        const py::handle object = objects[static_cast<std::size_t>(index)];
        const py::handle field = object ? object : py::handle(Py_None);
        PyTuple_SET_ITEM(result.ptr(), index, field.inc_ref().ptr());
    }
    return result;
}

}  // namespace

std::shared_ptr<const std::vector<TensorType>> validated(const KernelCall& call,
                                                         std::span<const OptionalArray> inputs,
                                                         const op::BatchNormAttributes& attributes,
                                                         bool is_reduction_given) {
    try {
        return runtime::validate(call, inputs, attributes, is_reduction_given);
    } catch (const NodeValidationFailure& failure) {
        const auto is_of_types = [](const Violation& violation) {
            return violation.label == "C3" || violation.label == "C4";
        };
        if (std::ranges::none_of(failure.violations(), is_of_types)) {
            throw;
        }
        const std::string advice = conversions(call, inputs);
        if (advice.empty()) {
            throw;
        }
        throw failure.with_advice("converted arrays fit: " + advice);
    }
}

std::vector<PythonParameter> kernel_parameters(const KernelCall& call) {
    std::vector<PythonParameter> parameters;
    for (const op::Port& port : call.inputs) {
        parameters.push_back({std::string(port.name)});
    }
    for_each_attribute(call, [&](const auto& attribute) {
        parameters.push_back({std::string(attribute.name), default_text(attribute)});
    });
    parameters.push_back({"out", "None"});
    if (call.has_several_outputs()) {
        parameters.push_back({"outputs", "None"});
    }
    parameters.push_back({"num_threads", "None"});
    parameters.push_back({"implementation", "None"});
    if (const std::string_view name = given_reduction_name(call); !name.empty()) {
        parameters.push_back({std::string(name), "None"});
        parameters.push_back({"where", "None"});
        parameters.push_back({"lengths", "None"});
    }
    return parameters;
}

py::object call_kernel(const KernelCall& call, py::handle result_type, Arguments arguments) {
    const NestedCall nested;
    const Arguments inputs = arguments.first(call.inputs.size());
    Objects objects = run(call, inputs, options_of(call, arguments));
    return result_type ? as_result(result_type, std::span(objects).first(call.outputs.size()))
                       : std::move(objects[0]);
}

}  // namespace normgraph::binding
