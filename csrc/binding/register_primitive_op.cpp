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
#include "normgraph/op/convert.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/matrix_multiply.hpp"
#include "normgraph/op/reduction.hpp"
#include "normgraph/op/relu_selection.hpp"

namespace py = pybind11;

namespace normgraph::binding {

namespace {

// ---- element-wise -------------------------------------------------------------------------------

constexpr const char* elementwise_ending = R"(

All inputs have one real element type and one shape, without broadcasting, and the output has them
too. f16 and bf16 are computed in f32 and rounded once.

Raises NodeValidationFailure, which lists every violated constraint:

    P1   the element type is real: f16, bf16, f32 or f64
    P2   the inputs have one element type
    P3   the inputs have one shape
)";

template <typename Op>
using OpClass = py::class_<Op, Node, std::shared_ptr<Op>>;

template <typename Op>
OpClass<Op> define_op(py::module_& module, const std::string& doc) {
    OpClass<Op> op_class(module, Op::class_name.data(), doc.c_str(), py::is_final());
    op_class.attr("__module__") = "normgraph.op";
    return op_class;
}

template <typename Op, std::size_t... index>
void register_elementwise(py::module_& module, const std::string& what,
                          std::index_sequence<index...>) {
    constexpr auto names = Op::names_of_inputs;
    define_op<Op>(module, what + elementwise_ending)
        .def(py::init([names](Argument<index>... inputs, const py::object& name) {
                 // Braces convert in the order of the arguments: the first wrong one is reported.
                 const std::array<Output, sizeof...(index)> outputs{
                     output_from_python(std::string(names[index]), inputs)...};
                 return std::make_shared<Op>(outputs[index]..., friendly_name_from_python(name));
             }),
             py::arg(names[index].data())..., py::arg("name") = py::none())
        .def_static(
            "infer",
            [names](Argument<index>... inputs) {
                return to_python(
                    Op::infer({tensor_type_from_python(std::string(names[index]), inputs)...}));
            },
            py::arg(names[index].data())..., infer_doc);
}

template <typename Op>
void register_elementwise(py::module_& module, const std::string& what) {
    register_elementwise<Op>(module, what, std::make_index_sequence<Op::names_of_inputs.size()>());
}

// ---- reductions ---------------------------------------------------------------------------------

constexpr const char* reduction_ending = R"(

kept_axes lists the axes that remain, in ascending order; a negative one counts from the last. The
channel sums of a tensor have kept_axes=[channel_axis], whatever its rank; the sum of all elements
has []. Sums are made in double and rounded once.

Raises NodeValidationFailure, which lists every violated constraint:

    P1   the element type is real: f16, bf16, f32 or f64
    P4   the axes lie within the rank and ascend
)";

template <typename Op>
void register_reduction(py::module_& module, const std::string& what) {
    define_op<Op>(module, what + reduction_ending)
        .def(py::init(
                 [](const py::object& value, const py::object& kept_axes, const py::object& name) {
                     const Output output = output_from_python("value", value);
                     return std::make_shared<Op>(output, axes_from_python("kept_axes", kept_axes),
                                                 friendly_name_from_python(name));
                 }),
             py::arg("value"), py::arg("kept_axes") = py::tuple(), py::arg("name") = py::none())
        .def_property_readonly("kept_axes",
                               [](const Op& self) { return py::tuple(py::cast(self.axes())); })
        .def_static(
            "infer",
            [](const py::object& value, const py::object& kept_axes) {
                const TensorType type = tensor_type_from_python("value", value);
                return to_python(Op::infer({type}, axes_from_python("kept_axes", kept_axes)));
            },
            py::arg("value"), py::arg("kept_axes") = py::tuple(), infer_doc);
}

constexpr const char* broadcast_doc = R"(Repeat a value along the axes of another that it has not.

axes lists, for each axis of value, the axis of like where it stands, in ascending order; a negative
one counts from the last. A channel vector is repeated for each element with axes=[channel_axis], a
scalar with []. Of like nothing but the shape is read.)";

constexpr const char* mean_backprop_doc = R"(The gradient of a mean: delta / n for each element.

n is the number of elements of like for each element of delta. axes are the mean's kept_axes: for
each axis of delta, the axis of like where it stands. Of like nothing but the shape is read.)";

constexpr const char* repeating_ending = R"(

Raises NodeValidationFailure, which lists every violated constraint:

    P1   the element type is real: f16, bf16, f32 or f64
    P4   the axes lie within the rank and ascend
    P5   the first input has one axis for each of the listed ones, of the length that like has there
)";

template <typename Op>
void register_repeating(py::module_& module, const std::string& what) {
    constexpr auto names = Op::names_of_inputs;
    define_op<Op>(module, what + repeating_ending)
        .def(py::init([names](const py::object& value, const py::object& like,
                              const py::object& axes, const py::object& name) {
                 const Output value_output = output_from_python(std::string(names[0]), value);
                 const Output like_output = output_from_python("like", like);
                 return std::make_shared<Op>(value_output, like_output,
                                             axes_from_python("axes", axes),
                                             friendly_name_from_python(name));
             }),
             py::arg(names[0].data()), py::arg("like"), py::arg("axes") = py::tuple(),
             py::arg("name") = py::none())
        .def_property_readonly("axes",
                               [](const Op& self) { return py::tuple(py::cast(self.axes())); })
        .def_static(
            "infer",
            [names](const py::object& value, const py::object& like, const py::object& axes) {
                const TensorType type = tensor_type_from_python(std::string(names[0]), value);
                return to_python(Op::infer({type, tensor_type_from_python("like", like)},
                                           axes_from_python("axes", axes)));
            },
            py::arg(names[0].data()), py::arg("like"), py::arg("axes") = py::tuple(), infer_doc);
}

// ---- others -------------------------------------------------------------------------------------

constexpr const char* convert_doc = R"(Each element as a number of another real type.

Rounds to nearest even; true is 1. value may have any element type; where it is not real, there is
no derivative.

Raises NodeValidationFailure:

    P1   element_type is real: f16, bf16, f32 or f64
)";

void register_convert(py::module_& module) {
    define_op<op::Convert>(module, convert_doc)
        .def(py::init([](const py::object& value, const py::object& element_type,
                         const py::object& name) {
                 const Output output = output_from_python("value", value);
                 return std::make_shared<op::Convert>(
                     output, element_type_from_python("element_type", element_type),
                     friendly_name_from_python(name));
             }),
             py::arg("value"), py::arg("element_type"), py::arg("name") = py::none())
        .def_property_readonly("element_type", &op::Convert::element_type)
        .def_static(
            "infer",
            [](const py::object& value, const py::object& element_type) {
                const TensorType type = tensor_type_from_python("value", value);
                return to_python(op::Convert::infer(
                    {type}, element_type_from_python("element_type", element_type)));
            },
            py::arg("value"), py::arg("element_type"), infer_doc);
}

constexpr const char* matrix_multiply_doc = R"(The product of two matrices.

Each is transposed first if its flag says so. Products are summed in double and rounded once.

Raises NodeValidationFailure, which lists every violated constraint:

    P1   the element type is real: f16, bf16, f32 or f64
    P2   the inputs have one element type
    P6   the inputs have rank 2
    P7   the inner lengths agree
)";

void register_matrix_multiply(py::module_& module) {
    define_op<op::MatrixMultiply>(module, matrix_multiply_doc)
        .def(py::init([](const py::object& left, const py::object& right,
                         const py::object& transpose_left, const py::object& transpose_right,
                         const py::object& name) {
                 const Output left_output = output_from_python("left", left);
                 const Output right_output = output_from_python("right", right);
                 const bool transposes_left = flag_from_python("transpose_left", transpose_left);
                 return std::make_shared<op::MatrixMultiply>(
                     left_output, right_output, transposes_left,
                     flag_from_python("transpose_right", transpose_right),
                     friendly_name_from_python(name));
             }),
             py::arg("left"), py::arg("right"), py::arg("transpose_left") = false,
             py::arg("transpose_right") = false, py::arg("name") = py::none())
        .def_property_readonly("transpose_left", &op::MatrixMultiply::transpose_left)
        .def_property_readonly("transpose_right", &op::MatrixMultiply::transpose_right)
        .def_static(
            "infer",
            [](const py::object& left, const py::object& right, const py::object& transpose_left,
               const py::object& transpose_right) {
                const TensorType left_type = tensor_type_from_python("left", left);
                const TensorType right_type = tensor_type_from_python("right", right);
                const bool transposes_left = flag_from_python("transpose_left", transpose_left);
                return to_python(op::MatrixMultiply::infer(
                    {left_type, right_type}, transposes_left,
                    flag_from_python("transpose_right", transpose_right)));
            },
            py::arg("left"), py::arg("right"), py::arg("transpose_left") = false,
            py::arg("transpose_right") = false, infer_doc);
}

constexpr const char* relu_mask_doc = R"(The mask that BatchNormTrainingRelu gives with its output.

A bit for each element of input, packed as BatchNormTrainingRelu says: 1 where it is not 0. A mask
has no derivative.

Raises NodeValidationFailure, which lists every violated constraint:

    C2   input has a real element type
    C5   the rank of input is at least 2
    C6   channel_axis lies within the rank
    C10  C >= 1
)";

void register_relu_mask(py::module_& module) {
    define_op<op::ReluMask>(module, relu_mask_doc)
        .def(py::init([](const py::object& input, const py::object& channel_axis,
                         const py::object& name) {
                 const Output output = output_from_python("input", input);
                 return std::make_shared<op::ReluMask>(output,
                                                       channel_axis_from_python(channel_axis),
                                                       friendly_name_from_python(name));
             }),
             py::arg("input"), py::arg("channel_axis") = 1, py::arg("name") = py::none())
        .def_property_readonly("channel_axis", &op::ReluMask::channel_axis)
        .def_static(
            "infer",
            [](const py::object& input, const py::object& channel_axis) {
                const TensorType type = tensor_type_from_python("input", input);
                return to_python(
                    op::ReluMask::infer({type}, channel_axis_from_python(channel_axis)));
            },
            py::arg("input"), py::arg("channel_axis") = 1, infer_doc);
}

constexpr const char* relu_mask_select_doc = R"(What a rectifier's mask lets pass of a gradient.

activated_delta where the bit of mask is 1, else 0, whatever is stored there. The mask, packed as
BatchNormTrainingRelu says, only selects: nothing is differentiated by it.

Raises NodeValidationFailure, which lists every violated constraint:

    C2   activated_delta has a real element type
    C5   the rank of activated_delta is at least 2
    C6   channel_axis lies within the rank
    C10  C >= 1
    C11  mask has the element type u8
    C12  the shape of mask is that of the packed bits of activated_delta
)";

void register_relu_mask_select(py::module_& module) {
    define_op<op::ReluMaskSelect>(module, relu_mask_select_doc)
        .def(py::init([](const py::object& activated_delta, const py::object& mask,
                         const py::object& channel_axis, const py::object& name) {
                 const Output delta = output_from_python("activated_delta", activated_delta);
                 const Output mask_output = output_from_python("mask", mask);
                 return std::make_shared<op::ReluMaskSelect>(delta, mask_output,
                                                             channel_axis_from_python(channel_axis),
                                                             friendly_name_from_python(name));
             }),
             py::arg("activated_delta"), py::arg("mask"), py::arg("channel_axis") = 1,
             py::arg("name") = py::none())
        .def_property_readonly("channel_axis", &op::ReluMaskSelect::channel_axis)
        .def_static(
            "infer",
            [](const py::object& activated_delta, const py::object& mask,
               const py::object& channel_axis) {
                const TensorType delta =
                    tensor_type_from_python("activated_delta", activated_delta);
                return to_python(
                    op::ReluMaskSelect::infer({delta, tensor_type_from_python("mask", mask)},
                                              channel_axis_from_python(channel_axis)));
            },
            py::arg("activated_delta"), py::arg("mask"), py::arg("channel_axis") = 1, infer_doc);
}

}  // namespace

void register_primitive_op(py::module_& module) {
    py::module_ op_module = module.attr("op");
    register_elementwise<op::Add>(op_module, "left + right, element by element.");
    register_elementwise<op::Subtract>(op_module, "left - right, element by element.");
    register_elementwise<op::Multiply>(op_module, "left * right, element by element.");
    register_elementwise<op::Divide>(op_module, "left / right, element by element.");
    register_elementwise<op::Negate>(op_module, "-value, element by element.");
    register_elementwise<op::SquareRoot>(op_module, "The square root of each element.");
    register_elementwise<op::Relu>(op_module,
                                   "The rectifier: 0 where value <= 0, else value (a NaN stays).");
    register_elementwise<op::ReluBackprop>(
        op_module,
        "The gradient of a rectifier.\n\n0 where value <= 0, whatever delta holds there, else "
        "delta. value is the rectifier's input or\nits output; it only selects: nothing is "
        "differentiated by it.");
    register_reduction<op::Sum>(op_module, "The sum along all axes but some; 0 of no elements.");
    register_reduction<op::Mean>(op_module,
                                 "The mean along all axes but some; NaN of no elements.");
    register_repeating<op::Broadcast>(op_module, broadcast_doc);
    register_repeating<op::MeanBackprop>(op_module, mean_backprop_doc);
    register_convert(op_module);
    register_matrix_multiply(op_module);
    register_relu_mask(op_module);
    register_relu_mask_select(op_module);
}

}  // namespace normgraph::binding
