#include <pybind11/pybind11.h>

#include <array>
#include <chrono>
#include <exception>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "binding/array_argument.hpp"
#include "binding/conversion.hpp"
#include "binding/register.hpp"
#include "normgraph/ir/text.hpp"
#include "normgraph/runtime/kernel_call.hpp"

namespace py = pybind11;

/// The kernel functions of the Python surface: arguments in, kernels run, results out.
namespace normgraph::binding {
namespace {

using runtime::KernelCall;
using runtime::OptionalArray;

/// The arrays of one argument list; absent ones are an optional input left out, or an output that
/// is not wanted.
class ArrayArguments {
public:
    explicit ArrayArguments(std::size_t count) : views_(count) {}

    void set(std::size_t index, const ArgumentName& name, py::handle object) {
        views_[index] = arguments_[index].emplace(name, object).view();
    }
    std::span<const OptionalArray> views() const { return views_; }

private:
    static constexpr std::size_t most = 7;
    std::array<std::optional<ArrayArgument>, most> arguments_;
    std::vector<OptionalArray> views_;
};

bool may_be_none(std::string_view input_name) {
    return input_name == "gamma" || input_name == "beta";
}

void borrow_inputs(const KernelCall& call, std::span<const py::handle> objects,
                   ArrayArguments& inputs) {
    for (std::size_t index = 0; index < objects.size(); ++index) {
        const std::string_view name = call.input_names[index];
        if (!objects[index].is_none() || !may_be_none(name)) {
            inputs.set(index, {name}, objects[index]);
        }
    }
}

std::string quoted_list(std::span<const std::string_view> names) {
    std::vector<std::string> quoted;
    for (const std::string_view name : names) {
        quoted.push_back("'" + std::string(name) + "'");
    }
    return join(quoted, ", ");
}

std::size_t output_index(const KernelCall& call, py::handle name) {
    for (std::size_t index = 0; index < call.output_names.size(); ++index) {
        if (py::isinstance<py::str>(name) && name.cast<std::string>() == call.output_names[index]) {
            return index;
        }
    }
    throw std::invalid_argument("outputs: expected names out of " + quoted_list(call.output_names) +
                                ", got " + py::repr(name).cast<std::string>());
}

/// Which outputs `outputs=` selects; None selects all.
std::vector<bool> selected_outputs(const KernelCall& call, py::handle names) {
    std::vector<bool> selected(call.output_names.size(), names.is_none());
    if (names.is_none()) {
        return selected;
    }
    if (py::isinstance<py::str>(names) || !py::isinstance<py::iterable>(names)) {
        throw py::type_error("outputs: expected a tuple of names out of " +
                             quoted_list(call.output_names) + ", got " +
                             py::repr(names).cast<std::string>());
    }
    bool any = false;
    for (const py::handle name : names) {
        const std::size_t index = output_index(call, name);
        if (selected[index]) {
            throw std::invalid_argument("outputs: expected each name once, got '" +
                                        std::string(call.output_names[index]) + "' twice");
        }
        selected[index] = any = true;
    }
    if (!any) {
        throw std::invalid_argument("outputs: expected at least one name out of " +
                                    quoted_list(call.output_names) + ", got none");
    }
    return selected;
}

/// `out=` as one entry per output: a tuple is taken as it is, anything else is the first output's.
std::vector<py::object> out_entries(const KernelCall& call, py::handle out) {
    const std::size_t count = call.output_names.size();
    std::vector<py::object> entries(count, py::none());
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
                                    " arrays or None (" + quoted_list(call.output_names) +
                                    "), got a tuple of " + std::to_string(tuple.size()));
    }
    for (std::size_t index = 0; index < count; ++index) {
        entries[index] = tuple[index];
    }
    return entries;
}

ArgumentName out_name(const KernelCall& call, std::size_t index) {
    return {call.output_names[index], index};
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
                ", got an array that overlaps " + std::string(call.input_names[other]));
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

/// Borrows the arrays that `out=` gives, and checks all of them before anything is written.
void borrow_outputs(const KernelCall& call, const std::vector<TensorType>& types,
                    std::span<const OptionalArray> inputs, const std::vector<bool>& selected,
                    std::span<const py::object> objects, ArrayArguments& outputs) {
    for (std::size_t index = 0; index < types.size(); ++index) {
        if (objects[index].is_none()) {
            continue;
        }
        const ArgumentName name = out_name(call, index);
        if (!selected[index]) {
            throw std::invalid_argument(name.text() +
                                        ": expected None, as outputs= does not select it");
        }
        outputs.set(index, name, objects[index]);
        runtime::check_output(name.text(), *outputs.views()[index], types[index]);
        check_overlap(call, index, inputs, outputs.views());
    }
}

/// Makes the arrays of the selected outputs that `out=` does not give.
void allocate_outputs(const KernelCall& call, const std::vector<TensorType>& types,
                      const runtime::Array& input, const std::vector<bool>& selected,
                      std::vector<py::object>& objects, ArrayArguments& outputs) {
    for (std::size_t index = 0; index < types.size(); ++index) {
        if (selected[index] && objects[index].is_none()) {
            objects[index] = index == 0 ? new_array_like(input) : new_array(types[index]);
            outputs.set(index, out_name(call, index), objects[index]);
        }
    }
}

/// A daemon thread may still compute when the interpreter ends. Until CPython 3.13 it is then ended
/// here, by an unwinding of its stack that must not reach pybind11's handlers or a destructor: the
/// process would be aborted. So it sleeps for good, as CPython itself does from 3.14 on.
void take_gil_back(PyThreadState* state) {
    try {
        PyEval_RestoreThread(state);
    } catch (...) {
        for (;;) {
            std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }
}

template <typename Function>
void without_gil(const Function& function) {
    PyThreadState* const state = PyEval_SaveThread();
    std::exception_ptr failure;
    try {
        function();
    } catch (...) {
        failure = std::current_exception();
    }
    take_gil_back(state);
    if (failure) {
        std::rethrow_exception(failure);
    }
}

std::vector<py::object> run(const KernelCall& call, std::span<const py::handle> input_objects,
                            py::handle epsilon_object, py::handle channel_axis_object,
                            py::handle out, py::handle output_names,
                            py::handle num_threads_object) {
    const std::int64_t num_threads = num_threads_from_python(num_threads_object);
    const double epsilon = epsilon_from_python(epsilon_object);
    const std::int64_t channel_axis = channel_axis_from_python(channel_axis_object);
    ArrayArguments inputs(call.input_names.size());
    borrow_inputs(call, input_objects, inputs);
    const std::vector<bool> selected = selected_outputs(call, output_names);
    const std::vector<TensorType>& types =
        runtime::validate(call, inputs.views(), epsilon, channel_axis);
    std::vector<py::object> objects = out_entries(call, out);
    ArrayArguments outputs(call.output_names.size());
    borrow_outputs(call, types, inputs.views(), selected, objects, outputs);
    allocate_outputs(call, types, *inputs.views()[0], selected, objects, outputs);
    without_gil(
        [&] { call.run(inputs.views(), outputs.views(), epsilon, channel_axis, num_threads); });
    return objects;
}

/// A named tuple class whose fields are the op's outputs.
py::object define_result_type(py::module_& module, const KernelCall& call, const char* class_name) {
    py::list fields;
    for (const std::string_view name : call.output_names) {
        fields.append(py::str(name.data(), name.size()));
    }
    py::object type = py::module_::import("collections")
                          .attr("namedtuple")(class_name, fields, py::arg("module") = "normgraph");
    type.attr("__doc__") = "What " + std::string(call.name) +
                           "() returns; None where outputs= did not select an output.";
    module.attr(class_name) = type;
    return type;
}

/// The named tuple of these objects, made the way its `_make` does.
py::object as_result(const py::object& type, const std::vector<py::object>& objects) {
    py::tuple fields(objects.size());
    for (std::size_t index = 0; index < objects.size(); ++index) {
        fields[index] = objects[index];
    }
    const py::tuple arguments = py::make_tuple(fields);
    PyObject* const result =
        PyTuple_Type.tp_new(reinterpret_cast<PyTypeObject*>(type.ptr()), arguments.ptr(), nullptr);
    if (result == nullptr) {
        throw py::error_already_set();
    }
    return py::reinterpret_steal<py::object>(result);
}

constexpr const char* batch_norm_training_doc =
    R"(Normalize each channel with the statistics of this batch.

Per channel, over its n elements: mean = sum(input)/n, variance = sum((input - mean)**2)/n,
normalized = gamma * (input - mean) / sqrt(variance + epsilon) + beta.

Parameters
----------
input : array, shape (., C, ...), f16, bf16, f32 or f64
gamma, beta : array of shape (C,) or None, which stands for 1 and 0; of input's element type, or
    f32 where input is f16 or bf16
epsilon : finite number >= 0
channel_axis : which axis of input has length C; negative ones count from the last
out : array for normalized, or tuple (normalized, mean, variance) of arrays to write to; None
    allocates. The first may be exactly the array given as input. DLPack's form before 1.0 is
    taken as read-only.
outputs : names of the outputs to compute; None computes all
num_threads : how many threads may share the channels; None means get_num_threads()

Returns
-------
BatchNormTrainingResult(normalized, mean, variance): numpy arrays, or those given as out. mean and
variance have shape (C,) and the element type of gamma and beta (f32 where both are None and input
is f16 or bf16); variance is biased (1/n). normalized has the axis order of input in memory.

Any strides are read without a copy. Raises NodeValidationFailure (a ValueError) where a constraint
of the op is violated, ValueError for an empty batch or an out that does not fit, TypeError for what
is no array. Nothing is written where an error is raised.
)";

constexpr const char* batch_norm_inference_doc = R"(Normalize each channel with given statistics.

normalized = gamma * (input - mean) / sqrt(variance + epsilon) + beta.

Parameters
----------
input : array, shape (., C, ...), f16, bf16, f32 or f64
gamma, beta : array of shape (C,) or None, which stands for 1 and 0
mean, variance : array of shape (C,), like gamma and beta of input's element type, or f32 where
    input is f16 or bf16
epsilon : finite number >= 0
channel_axis : which axis of input has length C; negative ones count from the last
out : array, or tuple of one array, to write to; it may be exactly the array given as input
num_threads : how many threads may share the channels; None means get_num_threads()

Returns
-------
numpy array with the shape, element type and axis order of input; or the array given as out.

Any strides are read without a copy. Raises NodeValidationFailure (a ValueError) where a constraint
of the op is violated, ValueError for an out that does not fit, TypeError for what is no array.
Nothing is written where an error is raised.
)";

constexpr const char* batch_norm_training_backprop_doc = R"(Gradients of batch_norm_training.

Per channel, with inv = 1/sqrt(variance + epsilon) and xhat = (input - mean) * inv:
beta_delta = sum(normalized_delta), gamma_delta = sum(normalized_delta * xhat),
input_delta = gamma * inv * (normalized_delta - beta_delta/n - xhat * gamma_delta/n).

Parameters
----------
input : array, shape (., C, ...), f16, bf16, f32 or f64: what the forward pass was given
gamma : array of shape (C,) or None, which stands for 1; of input's element type, or f32 where input
    is f16 or bf16, like all channel vectors
beta : array of shape (C,) or None; checked, not read: the gradients do not depend on it
mean, variance : array of shape (C,): what batch_norm_training returned; used as given
normalized_delta : array of input's shape and element type: the gradient of normalized
epsilon : finite number >= 0, the forward pass's
channel_axis : which axis of input has length C; negative ones count from the last
out : array for input_delta, or tuple (input_delta, gamma_delta, beta_delta) of arrays to write to;
    None allocates. The first may be exactly the array given as input or as normalized_delta.
outputs : names of the outputs to compute; None computes all
num_threads : how many threads may share the channels; None means get_num_threads()

Returns
-------
BatchNormTrainingBackpropResult(input_delta, gamma_delta, beta_delta): numpy arrays, or those given
as out. input_delta has the shape and the axis order of input in memory, the others shape (C,). Of
an empty batch input_delta is empty and the others are 0.

Any strides are read without a copy. Raises NodeValidationFailure (a ValueError) where a constraint
of the op is violated, ValueError for an out that does not fit, TypeError for what is no array.
Nothing is written where an error is raised.
)";

constexpr const char* batch_norm_inference_backprop_doc =
    R"(Gradients of batch_norm_inference: the statistics are constants.

Per channel, with inv = 1/sqrt(variance + epsilon) and xhat = (input - mean) * inv:
beta_delta = sum(normalized_delta), gamma_delta = sum(normalized_delta * xhat),
input_delta = gamma * inv * normalized_delta.

Parameters
----------
input : array, shape (., C, ...), f16, bf16, f32 or f64: what the forward pass was given
gamma : array of shape (C,) or None, which stands for 1; of input's element type, or f32 where input
    is f16 or bf16, like all channel vectors
beta : array of shape (C,) or None; checked, not read: the gradients do not depend on it
mean, variance : array of shape (C,): what the forward pass was given
normalized_delta : array of input's shape and element type: the gradient of normalized
epsilon : finite number >= 0, the forward pass's
channel_axis : which axis of input has length C; negative ones count from the last
out : array for input_delta, or tuple (input_delta, gamma_delta, beta_delta) of arrays to write to;
    None allocates. The first may be exactly the array given as input or as normalized_delta.
outputs : names of the outputs to compute; None computes all
num_threads : how many threads may share the channels; None means get_num_threads()

Returns
-------
BatchNormInferenceBackpropResult(input_delta, gamma_delta, beta_delta): numpy arrays, or those given
as out. input_delta has the shape and the axis order of input in memory, the others shape (C,). Of
an empty batch input_delta is empty and the others are 0.

Any strides are read without a copy. Raises NodeValidationFailure (a ValueError) where a constraint
of the op is violated, ValueError for an out that does not fit, TypeError for what is no array.
Nothing is written where an error is raised.
)";

constexpr const char* batch_norm_training_relu_doc =
    R"(Normalize each channel with the statistics of this batch, and rectify.

With normalized as batch_norm_training gives it, rounded to its element type: activated is 0 where
normalized <= 0, and normalized elsewhere (a NaN stays). mask has a bit for each element, 1 where
activated is not 0: all of the output that the backward pass needs.

Parameters
----------
input : array, shape (., C, ...), f16, bf16, f32 or f64
gamma, beta : array of shape (C,) or None, which stands for 1 and 0; of input's element type, or
    f32 where input is f16 or bf16
epsilon : finite number >= 0
channel_axis : which axis of input has length C; negative ones count from the last
out : array for activated, or tuple (activated, mean, variance, mask) of arrays to write to; None
    allocates. The first may be exactly the array given as input. mask must lie in C order without
    gaps.
outputs : names of the outputs to compute; None computes all. Of activated and mask, one alone takes
    memory for both.
num_threads : how many threads may share the channels; None means get_num_threads()

Returns
-------
BatchNormTrainingReluResult(activated, mean, variance, mask): numpy arrays, or those given as out.
activated has the axis order of input in memory; mean and variance are those of
batch_norm_training. mask is of u8. With outer and inner the products of the lengths before and after
the channel axis, it is numpy.packbits(bits, axis=-1, bitorder="little"), where bits is
(activated != 0) in the shape (outer, C) if the channel axis is the last one, else (outer, C, inner).

Any strides are read without a copy. Raises NodeValidationFailure (a ValueError) where a constraint
of the op is violated, ValueError for an empty batch or an out that does not fit, TypeError for what
is no array. Nothing is written where an error is raised.
)";

constexpr const char* batch_norm_training_relu_backprop_doc =
    R"(Gradients of batch_norm_training_relu.

Those of batch_norm_training, with normalized_delta = activated_delta where the bit of mask is 1,
else 0: what activated_delta holds where the bit is 0 does not count, be it NaN or infinity.

Parameters
----------
input : array, shape (., C, ...), f16, bf16, f32 or f64: what the forward pass was given
gamma : array of shape (C,) or None, which stands for 1; of input's element type, or f32 where input
    is f16 or bf16, like all channel vectors
beta : array of shape (C,) or None; checked, not read: mask tells what depends on it
mean, variance : array of shape (C,): what batch_norm_training_relu returned; used as given
mask : array of u8 in C order without gaps: what batch_norm_training_relu returned
activated_delta : array of input's shape and element type: the gradient of activated
epsilon : finite number >= 0, the forward pass's
channel_axis : which axis of input has length C; negative ones count from the last
out : array for input_delta, or tuple (input_delta, gamma_delta, beta_delta) of arrays to write to;
    None allocates. The first may be exactly the array given as input or as activated_delta.
outputs : names of the outputs to compute; None computes all
num_threads : how many threads may share the channels; None means get_num_threads()

Returns
-------
BatchNormTrainingReluBackpropResult(input_delta, gamma_delta, beta_delta): numpy arrays, or those
given as out. input_delta has the shape and the axis order of input in memory, the others shape
(C,). Of an empty batch input_delta is empty and the others are 0.

Any strides are read without a copy, but for mask. Raises NodeValidationFailure (a ValueError) where
a constraint of the op is violated, ValueError for an out or a mask that does not fit, TypeError for
what is no array. Nothing is written where an error is raised.
)";

/// Both training functions have the same arguments.
void define_training(py::module_& module, const KernelCall& call, const char* class_name,
                     const char* doc) {
    const py::object result_type = define_result_type(module, call, class_name);
    module.def(
        call.name.data(),
        [&call, result_type](const py::object& input, const py::object& gamma,
                             const py::object& beta, const py::object& epsilon,
                             const py::object& channel_axis, const py::object& out,
                             const py::object& outputs, const py::object& num_threads) {
            const std::array<py::handle, 3> inputs{input, gamma, beta};
            return as_result(result_type,
                             run(call, inputs, epsilon, channel_axis, out, outputs, num_threads));
        },
        doc, py::arg("input"), py::arg("gamma"), py::arg("beta"), py::arg("epsilon") = 1e-5,
        py::arg("channel_axis") = 1, py::arg("out") = py::none(), py::arg("outputs") = py::none(),
        py::arg("num_threads") = py::none());
}

/// Both backward functions without a rectifier have the same arguments.
void define_backprop(py::module_& module, const KernelCall& call, const char* class_name,
                     const char* doc) {
    const py::object result_type = define_result_type(module, call, class_name);
    module.def(
        call.name.data(),
        [&call, result_type](
            const py::object& input, const py::object& gamma, const py::object& beta,
            const py::object& mean, const py::object& variance, const py::object& normalized_delta,
            const py::object& epsilon, const py::object& channel_axis, const py::object& out,
            const py::object& outputs, const py::object& num_threads) {
            const std::array<py::handle, 6> inputs{input, gamma,    beta,
                                                   mean,  variance, normalized_delta};
            return as_result(result_type,
                             run(call, inputs, epsilon, channel_axis, out, outputs, num_threads));
        },
        doc, py::arg("input"), py::arg("gamma"), py::arg("beta"), py::arg("mean"),
        py::arg("variance"), py::arg("normalized_delta"), py::arg("epsilon") = 1e-5,
        py::arg("channel_axis") = 1, py::arg("out") = py::none(), py::arg("outputs") = py::none(),
        py::arg("num_threads") = py::none());
}

}  // namespace

void register_kernel(py::module_& module) {
    const py::object default_epsilon = py::float_(1e-5);
    const py::object default_axis = py::int_(1);

    define_training(module, runtime::batch_norm_training, "BatchNormTrainingResult",
                    batch_norm_training_doc);
    define_training(module, runtime::batch_norm_training_relu, "BatchNormTrainingReluResult",
                    batch_norm_training_relu_doc);

    module.def(
        "batch_norm_inference",
        [](const py::object& input, const py::object& gamma, const py::object& beta,
           const py::object& mean, const py::object& variance, const py::object& epsilon,
           const py::object& channel_axis, const py::object& out, const py::object& num_threads) {
            const std::array<py::handle, 5> inputs{input, gamma, beta, mean, variance};
            return run(runtime::batch_norm_inference, inputs, epsilon, channel_axis, out,
                       py::none(), num_threads)[0];
        },
        batch_norm_inference_doc, py::arg("input"), py::arg("gamma"), py::arg("beta"),
        py::arg("mean"), py::arg("variance"), py::arg("epsilon") = default_epsilon,
        py::arg("channel_axis") = default_axis, py::arg("out") = py::none(),
        py::arg("num_threads") = py::none());

    define_backprop(module, runtime::batch_norm_training_backprop,
                    "BatchNormTrainingBackpropResult", batch_norm_training_backprop_doc);
    define_backprop(module, runtime::batch_norm_inference_backprop,
                    "BatchNormInferenceBackpropResult", batch_norm_inference_backprop_doc);

    const py::object relu_backprop_result = define_result_type(
        module, runtime::batch_norm_training_relu_backprop, "BatchNormTrainingReluBackpropResult");
    module.def(
        "batch_norm_training_relu_backprop",
        [relu_backprop_result](const py::object& input, const py::object& gamma,
                               const py::object& beta, const py::object& mean,
                               const py::object& variance, const py::object& mask,
                               const py::object& activated_delta, const py::object& epsilon,
                               const py::object& channel_axis, const py::object& out,
                               const py::object& outputs, const py::object& num_threads) {
            const std::array<py::handle, 7> inputs{input,    gamma, beta,           mean,
                                                   variance, mask,  activated_delta};
            return as_result(relu_backprop_result,
                             run(runtime::batch_norm_training_relu_backprop, inputs, epsilon,
                                 channel_axis, out, outputs, num_threads));
        },
        batch_norm_training_relu_backprop_doc, py::arg("input"), py::arg("gamma"), py::arg("beta"),
        py::arg("mean"), py::arg("variance"), py::arg("mask"), py::arg("activated_delta"),
        py::arg("epsilon") = default_epsilon, py::arg("channel_axis") = default_axis,
        py::arg("out") = py::none(), py::arg("outputs") = py::none(),
        py::arg("num_threads") = py::none());
}

}  // namespace normgraph::binding
