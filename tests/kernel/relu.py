"""The ReLU by its definition, on the plain kernels' results: numpy's packbits and where."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import normgraph as ng

from . import canonical_order
from .real_types import Array, real_type_of
from .samples import BackpropArguments


def rounded_once(number: float, dtype: np.dtype[Any]) -> Array:
    """The number in this type: numpy goes by way of f32 to bf16, and so rounds twice.

    Whatever f32 leaves of a number makes its last bit odd, so that the second rounding sees it.
    """
    single = np.float32(number)
    if dtype.itemsize == 2 and float(single) != number:
        towards = np.float32(np.inf if float(single) < number else -np.inf)
        other = np.nextafter(single, towards)
        single = single if single.view(np.uint32) % 2 else other
        return np.array(single).astype(dtype)
    return np.array(number).astype(dtype)


def relu(normalized: Array, upper_bound: float | None = None) -> Array:
    """(y <= 0) ? +0 : (y >= upper_bound) ? upper_bound : y: a NaN stays and -0 becomes +0."""
    with np.errstate(invalid="ignore"):
        activated = np.where(normalized <= 0, np.zeros((), normalized.dtype), normalized)
        if upper_bound is None:
            return activated
        bound = rounded_once(upper_bound, normalized.dtype)
        return np.where(activated >= bound, bound, activated)


def passing(activated: Array, upper_bound: float | None = None) -> Array:
    """Where the gradient passes."""
    bits: Array = activated != 0
    if upper_bound is not None:
        with np.errstate(invalid="ignore"):
            bits &= ~(activated >= rounded_once(upper_bound, activated.dtype))
    return bits


def packed(bits: Array, channel_axis: int) -> Array:
    """The mask of an array of bools: packed behind the channel axis, or along it if it is last."""
    axis = channel_axis % bits.ndim
    outer, inner = math.prod(bits.shape[:axis]), math.prod(bits.shape[axis + 1 :])
    is_last = axis + 1 == bits.ndim
    shape = (outer, bits.shape[axis]) if is_last else (outer, bits.shape[axis], inner)
    return np.packbits(bits.reshape(shape), axis=-1, bitorder="little")


def forward(
    input: Array,
    gamma: Array | None,
    beta: Array | None,
    epsilon: float,
    channel_axis: int,
    upper_bound: float | None = None,
) -> tuple[Array, Array, Array, Array]:
    """(activated, mean, variance, mask) from batch_norm_training."""
    plain = ng.batch_norm_training(input, gamma, beta, epsilon=epsilon, channel_axis=channel_axis)
    activated = relu(plain.normalized, upper_bound)
    bits = passing(activated, upper_bound)
    return activated, plain.mean, plain.variance, packed(bits, channel_axis)


def added_forward(
    input: Array,
    gamma: Array | None,
    beta: Array | None,
    residual: Array,
    epsilon: float,
    channel_axis: int,
    upper_bound: float | None = None,
) -> tuple[Array, Array, Array, Array]:
    """(activated, mean, variance, mask): the sum is made before normalized is rounded."""
    options: dict[str, Any] = {"epsilon": epsilon, "channel_axis": channel_axis}
    last = canonical_order.is_channels_last(input, channel_axis)
    plain = ng.batch_norm_training(input, gamma, beta, **options)
    statistics = real_type_of(plain.mean)
    normalized, _, _ = canonical_order.training(
        input,
        gamma,
        beta,
        **options,
        statistics_type=statistics,
        channels_last=last,
        residual=residual,
    )
    activated = relu(normalized, upper_bound)
    bits = passing(activated, upper_bound)
    return activated, plain.mean, plain.variance, packed(bits, channel_axis)


def backward(
    arguments: BackpropArguments, bits: Array, epsilon: float, channel_axis: int
) -> ng.BatchNormTrainingBackpropResult:
    """Gradients from batch_norm_training_backprop; `bits` has the shape of the input."""
    delta = arguments.normalized_delta
    blocked = np.where(bits, delta, np.zeros((), delta.dtype))
    return ng.batch_norm_training_backprop(
        *arguments._replace(normalized_delta=blocked), epsilon=epsilon, channel_axis=channel_axis
    )


def backward_arguments(arguments: BackpropArguments, mask: Array) -> dict[str, Array | None]:
    """By name, in the order of batch_norm_training_relu_backprop: the mask before the delta."""
    named = arguments._asdict()
    delta = named.pop("normalized_delta")
    return {**named, "mask": mask, "activated_delta": delta}
