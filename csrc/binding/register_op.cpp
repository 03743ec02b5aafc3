#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "binding/conversion.hpp"
#include "binding/node_conversion.hpp"
#include "binding/op_conversion.hpp"
#include "binding/register.hpp"
#include "normgraph/op/batch_norm_inference.hpp"
#include "normgraph/op/batch_norm_inference_backprop.hpp"
#include "normgraph/op/batch_norm_training.hpp"
#include "normgraph/op/batch_norm_training_backprop.hpp"
#include "normgraph/op/batch_norm_training_relu.hpp"
#include "normgraph/op/batch_norm_training_relu_backprop.hpp"

namespace py = pybind11;

namespace normgraph::binding {

namespace {

constexpr const char* batch_norm_training_doc =
    R"(Normalize each channel with the statistics of this batch.

Per channel, over its n elements:

    mean       = sum(input) / n
    variance   = sum((input - mean)**2) / n
    normalized = gamma * (input - mean) / sqrt(variance + epsilon) + beta

Inputs
------
input : (., C, ...), a real element type
gamma, beta : (C), of input's element type, or f32 where input is f16 or bf16

Attributes
----------
epsilon : finite number >= 0
channel_axis : which axis of input has length C; a negative one counts from the last

Outputs
-------
normalized : shape and element type of input
mean, variance : (C), the element type of gamma and beta

Each input is a Node with exactly one output, or an Output; what is not known of its type and shape
is inferred from the others. Raises NodeValidationFailure, which lists every violated constraint:

    C1   epsilon is finite and >= 0
    C2   input has a real element type
    C4   gamma and beta share one type: input's, or f32 when input is f16 or bf16
    C5   the rank of input is at least 2
    C6   channel_axis lies within the rank
    C8   gamma and beta have rank 1
    C9   all agree on the number of channels C
    C10  C >= 1
)";

constexpr const char* batch_norm_inference_doc = R"(Normalize each channel with given statistics.

    normalized = gamma * (input - mean) / sqrt(variance + epsilon) + beta

Inputs
------
input : (., C, ...), a real element type
gamma, beta, mean, variance : (C), of input's element type, or f32 where input is f16 or bf16

Attributes
----------
epsilon : finite number >= 0
channel_axis : which axis of input has length C; a negative one counts from the last

Outputs
-------
normalized : shape and element type of input

Each input is a Node with exactly one output, or an Output; what is not known of its type and shape
is inferred from the others. Raises NodeValidationFailure, which lists every violated constraint:

    C1   epsilon is finite and >= 0
    C2   input has a real element type
    C4   the channel vectors share one type: input's, or f32 when input is f16 or bf16
    C5   the rank of input is at least 2
    C6   channel_axis lies within the rank
    C8   each channel vector has rank 1
    C9   all agree on the number of channels C
    C10  C >= 1
)";

constexpr const char* batch_norm_training_backprop_doc =
    R"(Gradients of BatchNormTraining's output normalized.

Per channel, over its n elements, with inv = 1/sqrt(variance + epsilon) and
xhat = (input - mean) * inv:

    beta_delta  = sum(normalized_delta)
    gamma_delta = sum(normalized_delta * xhat)
    input_delta = gamma * inv * (normalized_delta - beta_delta/n - xhat * gamma_delta/n)

Inputs
------
input : (., C, ...), a real element type
gamma, beta : (C), of input's element type, or f32 where input is f16 or bf16; beta is not read
mean, variance : (C), like gamma: BatchNormTraining's outputs of these names, used as given
normalized_delta : shape and element type of input

Attributes
----------
epsilon : finite number >= 0, the forward op's
channel_axis : which axis of input has length C; a negative one counts from the last

Outputs
-------
input_delta : shape and element type of input
gamma_delta, beta_delta : (C), the element type of gamma

Each input is a Node with exactly one output, or an Output; what is not known of its type and shape
is inferred from the others. Raises NodeValidationFailure, which lists every violated constraint:

    C1   epsilon is finite and >= 0
    C2   input has a real element type
    C3   normalized_delta has input's element type
    C4   the channel vectors share one type: input's, or f32 when input is f16 or bf16
    C5   the rank of input is at least 2
    C6   channel_axis lies within the rank
    C7   the shapes of normalized_delta and input agree, without broadcasting
    C8   each channel vector has rank 1
    C9   all agree on the number of channels C
    C10  C >= 1
)";

constexpr const char* batch_norm_inference_backprop_doc =
    R"(Gradients of BatchNormInference, whose statistics are constants.

Per channel, over its n elements, with inv = 1/sqrt(variance + epsilon) and
xhat = (input - mean) * inv:

    beta_delta  = sum(normalized_delta)
    gamma_delta = sum(normalized_delta * xhat)
    input_delta = gamma * inv * normalized_delta

Inputs
------
input : (., C, ...), a real element type
gamma, beta : (C), of input's element type, or f32 where input is f16 or bf16; beta is not read
mean, variance : (C), like gamma: what the forward op was given
normalized_delta : shape and element type of input

Attributes
----------
epsilon : finite number >= 0, the forward op's
channel_axis : which axis of input has length C; a negative one counts from the last

Outputs
-------
input_delta : shape and element type of input
gamma_delta, beta_delta : (C), the element type of gamma

Each input is a Node with exactly one output, or an Output; what is not known of its type and shape
is inferred from the others. Raises NodeValidationFailure, which lists every violated constraint:

    C1   epsilon is finite and >= 0
    C2   input has a real element type
    C3   normalized_delta has input's element type
    C4   the channel vectors share one type: input's, or f32 when input is f16 or bf16
    C5   the rank of input is at least 2
    C6   channel_axis lies within the rank
    C7   the shapes of normalized_delta and input agree, without broadcasting
    C8   each channel vector has rank 1
    C9   all agree on the number of channels C
    C10  C >= 1
)";

constexpr const char* batch_norm_training_relu_doc = R"(BatchNormTraining and a rectifier in one.

With normalized as BatchNormTraining gives it, rounded to its element type:

    activated = 0 where normalized <= 0, else normalized            (a NaN stays)
    mask      = a bit for each element: 1 where activated is not 0

Inputs
------
input : (., C, ...), a real element type
gamma, beta : (C), of input's element type, or f32 where input is f16 or bf16

Attributes
----------
epsilon : finite number >= 0
channel_axis : which axis of input has length C; a negative one counts from the last

Outputs
-------
activated : shape and element type of input
mean, variance : (C), the element type of gamma and beta
mask : u8; eight bits to a byte, the least significant first. With outer and inner the products of
    the lengths before and after the channel axis, {outer, ceil(C/8)} if the channel axis is the last
    one, else {outer, C, ceil(inner/8)}. Bits beyond the last element are 0.

Each input is a Node with exactly one output, or an Output; what is not known of its type and shape
is inferred from the others. Raises NodeValidationFailure, which lists every violated constraint:

    C1   epsilon is finite and >= 0
    C2   input has a real element type
    C4   gamma and beta share one type: input's, or f32 when input is f16 or bf16
    C5   the rank of input is at least 2
    C6   channel_axis lies within the rank
    C8   gamma and beta have rank 1
    C9   all agree on the number of channels C
    C10  C >= 1
)";

constexpr const char* batch_norm_training_relu_backprop_doc =
    R"(Gradients of BatchNormTrainingRelu's output activated.

Those of BatchNormTraining with

    normalized_delta = activated_delta where the bit of mask is 1, else 0

What activated_delta holds where the bit is 0 does not count, be it NaN or infinity.

Inputs
------
input : (., C, ...), a real element type
gamma, beta : (C), of input's element type, or f32 where input is f16 or bf16; beta is not read
mean, variance : (C), like gamma: BatchNormTrainingRelu's outputs of these names, used as given
mask : BatchNormTrainingRelu's output of this name
activated_delta : shape and element type of input

Attributes
----------
epsilon : finite number >= 0, the forward op's
channel_axis : which axis of input has length C; a negative one counts from the last

Outputs
-------
input_delta : shape and element type of input
gamma_delta, beta_delta : (C), the element type of gamma

Each input is a Node with exactly one output, or an Output; what is not known of its type and shape
is inferred from the others, but not from mask. Raises NodeValidationFailure, which lists every
violated constraint:

    C1   epsilon is finite and >= 0
    C2   input has a real element type
    C3   activated_delta has input's element type
    C4   the channel vectors share one type: input's, or f32 when input is f16 or bf16
    C5   the rank of input is at least 2
    C6   channel_axis lies within the rank
    C7   the shapes of activated_delta and input agree, without broadcasting
    C8   each channel vector has rank 1
    C9   all agree on the number of channels C
    C10  C >= 1
    C11  mask has the element type u8
    C12  the shape of mask is that of the packed bits of input
)";

/// Defines the constructor and infer, with the op's inputs as named arguments.
template <typename Op, std::size_t... index>
void register_op_class(py::module_& module, const char* doc, std::index_sequence<index...>) {
    constexpr auto names = Op::names_of_inputs;
    const py::object default_epsilon = py::float_(1e-5);
    const py::object default_axis = py::int_(1);
    py::class_<Op, op::BatchNormNode, std::shared_ptr<Op>>(module, Op::class_name.data(), doc,
                                                           py::is_final())
        .def(py::init([names](Argument<index>... inputs, const py::object& epsilon,
                              const py::object& channel_axis, const py::object& name) {
                 // Braces convert in the order of the arguments: the first wrong one is reported.
                 const std::array<Output, sizeof...(index)> outputs{
                     output_from_python(std::string(names[index]), inputs)...};
                 const double epsilon_value = epsilon_from_python(epsilon);
                 return std::make_shared<Op>(outputs[index]..., epsilon_value,
                                             channel_axis_from_python(channel_axis),
                                             friendly_name_from_python(name));
             }),
             py::arg(names[index].data())..., py::arg("epsilon") = default_epsilon,
             py::arg("channel_axis") = default_axis, py::arg("name") = py::none())
        .def_static(
            "infer",
            [names](Argument<index>... inputs, const py::object& epsilon,
                    const py::object& channel_axis) {
                const std::vector<TensorType> types{
                    tensor_type_from_python(std::string(names[index]), inputs)...};
                const double epsilon_value = epsilon_from_python(epsilon);
                return to_python(
                    Op::infer(types, epsilon_value, channel_axis_from_python(channel_axis)));
            },
            py::arg(names[index].data())..., py::arg("epsilon") = default_epsilon,
            py::arg("channel_axis") = default_axis, infer_doc)
        .attr("__module__") = "normgraph.op";
}

template <typename Op>
void register_op_class(py::module_& module, const char* doc) {
    register_op_class<Op>(module, doc, std::make_index_sequence<Op::names_of_inputs.size()>());
}

}  // namespace

void register_op(py::module_& module) {
    py::module_ op_module = module.def_submodule("op", "The op classes.");
    py::class_<op::BatchNormNode, Node, std::shared_ptr<op::BatchNormNode>>(
        op_module, "BatchNormNode", "What the batch-normalization ops have in common.")
        .def_property(
            "epsilon", &op::BatchNormNode::epsilon,
            [](op::BatchNormNode& self, const py::object& epsilon) {
                self.set_epsilon(epsilon_from_python(epsilon));
            },
            "Setting it to what is not finite or < 0 raises NodeValidationFailure (C1).")
        .def_property_readonly("channel_axis", &op::BatchNormNode::channel_axis,
                               "As it was given to the constructor.")
        .attr("__module__") = "normgraph.op";
    register_op_class<op::BatchNormTraining>(op_module, batch_norm_training_doc);
    register_op_class<op::BatchNormInference>(op_module, batch_norm_inference_doc);
    register_op_class<op::BatchNormTrainingBackprop>(op_module, batch_norm_training_backprop_doc);
    register_op_class<op::BatchNormInferenceBackprop>(op_module, batch_norm_inference_backprop_doc);
    register_op_class<op::BatchNormTrainingRelu>(op_module, batch_norm_training_relu_doc);
    register_op_class<op::BatchNormTrainingReluBackprop>(op_module,
                                                         batch_norm_training_relu_backprop_doc);
}

}  // namespace normgraph::binding
