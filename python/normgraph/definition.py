"""The definition of batch normalization in numpy's float64, independent of the kernels.

`python -m normgraph check` measures the kernels against it. Every array of data here has the shape
(n, C): the n elements of each of the C channels stand in a column (`rows` brings any layout into
this form). Sums are rounded once (`math.fsum`), so that the definition adds no summation error of
its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]


def rows(array: npt.NDArray[Any], channel_axis: int) -> Float64Array:
    """Copy to float64 in the shape (n, C): the channel axis last, all others in one, in order."""
    channels_last = np.moveaxis(array, channel_axis, -1)
    return channels_last.astype(np.float64).reshape(-1, channels_last.shape[-1])


def channel_sums(terms: Float64Array) -> Float64Array:
    """(n, C) -> (C): the correctly rounded sum of each column."""
    columns = np.ascontiguousarray(terms.T, np.float64)
    return np.array([math.fsum(column.data) for column in columns])


def inverse_deviation(variance: Float64Array, epsilon: float) -> Float64Array:
    """1/sqrt(variance + epsilon)."""
    return 1.0 / np.sqrt(variance + epsilon)


def inference(
    x: Float64Array,
    gamma: Float64Array,
    beta: Float64Array,
    mean: Float64Array,
    variance: Float64Array,
    epsilon: float,
) -> Float64Array:
    """(n, C): gamma * (x - mean)/sqrt(variance + epsilon) + beta, with the statistics given."""
    return gamma * ((x - mean) * inverse_deviation(variance, epsilon)) + beta


def training(
    x: Float64Array, gamma: Float64Array, beta: Float64Array, epsilon: float
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return (normalized, mean, variance): `inference` with x's own mean and biased variance."""
    mean = channel_sums(x) / len(x)
    variance = channel_sums((x - mean) ** 2) / len(x)
    return inference(x, gamma, beta, mean, variance, epsilon), mean, variance


def training_backprop(
    x: Float64Array,
    gamma: Float64Array,
    mean: Float64Array,
    variance: Float64Array,
    normalized_delta: Float64Array,
    epsilon: float,
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return (input_delta, gamma_delta, beta_delta): the derivative of `training` in closed form.

    With delta = normalized_delta and x^ = (x - mean)/sqrt(variance + epsilon):
    input_delta = gamma/sqrt(variance + epsilon) * (delta - sum(delta)/n - x^ * sum(delta * x^)/n).
    """
    inverse = inverse_deviation(variance, epsilon)
    standardized = (x - mean) * inverse
    beta_delta = channel_sums(normalized_delta)
    gamma_delta = channel_sums(normalized_delta * standardized)
    correction = (beta_delta + standardized * gamma_delta) / len(x)
    return gamma * inverse * (normalized_delta - correction), gamma_delta, beta_delta


def inference_backprop(
    x: Float64Array,
    gamma: Float64Array,
    mean: Float64Array,
    variance: Float64Array,
    normalized_delta: Float64Array,
    epsilon: float,
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return (input_delta, gamma_delta, beta_delta): the derivative of `inference`.

    The statistics are given: input_delta = gamma/sqrt(variance + epsilon) * normalized_delta.
    """
    inverse = inverse_deviation(variance, epsilon)
    gamma_delta = channel_sums(normalized_delta * ((x - mean) * inverse))
    return gamma * inverse * normalized_delta, gamma_delta, channel_sums(normalized_delta)


def packed_bits(passes: npt.NDArray[np.bool_], channel_axis: int) -> npt.NDArray[np.uint8]:
    """Return the mask of a ReLU, from whether it lets each element pass.

    Eight bits to a byte, the first in the least significant one, along the axes behind the channel
    axis merged into one; along the channel axis if that is the last one.
    """
    axis = channel_axis % passes.ndim
    outer = math.prod(passes.shape[:axis])
    behind = passes.shape[axis + 1 :]
    shape = (outer, passes.shape[axis], math.prod(behind)) if behind else (outer, -1)
    return np.packbits(passes.reshape(shape), axis=-1, bitorder="little")


def gradients_by_differences(
    normalize: Callable[[Float64Array, Float64Array, Float64Array], Float64Array],
    x: Float64Array,
    gamma: Float64Array,
    beta: Float64Array,
    normalized_delta: Float64Array,
    step: float,
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return the gradients of sum(normalized_delta * normalize(x, gamma, beta)) in x, gamma, beta.

    Central differences, each element moved by +-step in turn. normalized_delta should be random:
    the gradient in x of a constant one is zero. Truncation error: step**2/6 times the third
    derivative.
    """

    def loss(x: Float64Array, gamma: Float64Array, beta: Float64Array) -> float:
        return math.fsum((normalized_delta * normalize(x, gamma, beta)).flat)

    return (
        central_differences(lambda value: loss(value, gamma, beta), x, step),
        central_differences(lambda value: loss(x, value, beta), gamma, step),
        central_differences(lambda value: loss(x, gamma, value), beta, step),
    )


def central_differences(
    function: Callable[[Float64Array], float], at: Float64Array, step: float
) -> Float64Array:
    """Return the gradient of `function` at `at`, each element moved by +-step in turn."""
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        above, below = at.copy(), at.copy()
        above[index] += step
        below[index] -= step
        # The distance as it was rounded, not 2*step.
        gradient[index] = (function(above) - function(below)) / (above[index] - below[index])
    return gradient
