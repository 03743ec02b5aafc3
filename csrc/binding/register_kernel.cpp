#include <pybind11/pybind11.h>

#include "binding/kernel_function.hpp"
#include "binding/register.hpp"
#include "normgraph/runtime/kernel_call.hpp"

namespace py = pybind11;

/// The kernel functions of the Python surface: what each says of itself.
namespace normgraph::binding {
namespace {

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
implementation : which of implementations() computes; None means the one that config() names. The
    bits do not depend on it.

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
implementation : which of implementations() computes; None means the one that config() names. The
    bits do not depend on it.

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
implementation : which of implementations() computes; None means the one that config() names. The
    bits do not depend on it.

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
implementation : which of implementations() computes; None means the one that config() names. The
    bits do not depend on it.

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
implementation : which of implementations() computes; None means the one that config() names. The
    bits do not depend on it.

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
implementation : which of implementations() computes; None means the one that config() names. The
    bits do not depend on it.

Returns
-------
BatchNormTrainingReluBackpropResult(input_delta, gamma_delta, beta_delta): numpy arrays, or those
given as out. input_delta has the shape and the axis order of input in memory, the others shape
(C,). Of an empty batch input_delta is empty and the others are 0.

Any strides are read without a copy, but for mask. Raises NodeValidationFailure (a ValueError) where
a constraint of the op is violated, ValueError for an out or a mask that does not fit, TypeError for
what is no array. Nothing is written where an error is raised.
)";

}  // namespace

void register_kernel(py::module_& module) {
    define_kernel_function<&runtime::batch_norm_training>(module, batch_norm_training_doc,
                                                          "BatchNormTrainingResult");
    define_kernel_function<&runtime::batch_norm_inference>(module, batch_norm_inference_doc);
    define_kernel_function<&runtime::batch_norm_training_backprop>(
        module, batch_norm_training_backprop_doc, "BatchNormTrainingBackpropResult");
    define_kernel_function<&runtime::batch_norm_inference_backprop>(
        module, batch_norm_inference_backprop_doc, "BatchNormInferenceBackpropResult");
    define_kernel_function<&runtime::batch_norm_training_relu>(module, batch_norm_training_relu_doc,
                                                               "BatchNormTrainingReluResult");
    define_kernel_function<&runtime::batch_norm_training_relu_backprop>(
        module, batch_norm_training_relu_backprop_doc, "BatchNormTrainingReluBackpropResult");
}

}  // namespace normgraph::binding
