"""The kernels' arithmetic, operation by operation, in Python: results must agree to the bit.

This is the documented summation order and the documented element-wise formulas, stated
a second time and independently of the C++ sources. Sums are made with Python's own floats, one
addition after the other; numpy does the element-wise operations, each rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .real_types import REAL_TYPES, Array, RealType, real_type_of

VERSION = 1
STEPS_PER_BLOCK = 512


def is_channels_last(array: Array, channel_axis: int) -> bool:
    """The layout class, from the strides of `input` alone; axes of length 1 are ignored."""
    channel_axis %= array.ndim
    if array.shape[channel_axis] == 1 or array.strides[channel_axis] == 0:
        return False
    return all(
        abs(array.strides[channel_axis]) < abs(array.strides[axis])
        for axis in range(array.ndim)
        if axis != channel_axis and array.shape[axis] != 1 and array.strides[axis] != 0
    )


def row_length_and_lanes(
    shape: Sequence[int], channel_axis: int, channels_last: bool
) -> tuple[int, int]:
    channel_axis %= len(shape)
    channels = shape[channel_axis]
    outer, inner = math.prod(shape[:channel_axis]), math.prod(shape[channel_axis + 1 :])
    if not channels_last:
        return (outer if inner == 1 else inner), 16
    lanes = 1
    while lanes * channels < 16:
        lanes *= 2
    return outer * inner, lanes


def blocks(terms: Sequence[float], row_length: int, lanes: int) -> Iterator[list[Sequence[float]]]:
    """Each block is a list of rows, or one piece of a row that is longer than a block."""
    rows = [terms[start : start + row_length] for start in range(0, len(terms), row_length)]
    if row_length > STEPS_PER_BLOCK * lanes:
        for row in rows:
            for start in range(0, row_length, STEPS_PER_BLOCK * lanes):
                yield [row[start : start + STEPS_PER_BLOCK * lanes]]
    else:
        rows_per_block = STEPS_PER_BLOCK // math.ceil(row_length / lanes)
        for start in range(0, len(rows), rows_per_block):
            yield rows[start : start + rows_per_block]


def block_sum(rows: Sequence[Sequence[float]], lanes: int) -> float:
    accumulators = [0.0] * lanes
    for row in rows:
        for position, term in enumerate(row):
            accumulators[position % lanes] += term
    half = lanes // 2
    while half >= 1:
        for lane in range(half):
            accumulators[lane] += accumulators[lane + half]
        half //= 2
    return accumulators[0]


def tree_sum(sums: Sequence[float]) -> float:
    """Splits at the largest power of two below the number of blocks."""
    if len(sums) == 1:
        return sums[0]
    split = 1
    while split * 2 < len(sums):
        split *= 2
    return tree_sum(sums[:split]) + tree_sum(sums[split:])


def canonical_sum(terms: Array, row_length: int, lanes: int) -> np.float64:
    """The sum of one channel's terms (doubles, in logical order)."""
    values = terms.tolist()
    sums = [block_sum(rows, lanes) for rows in blocks(values, row_length, lanes)]
    return np.float64(tree_sum(sums))


class CanonicalChannel:
    """One channel of a problem: its elements as doubles, and how they are summed."""

    def __init__(self, input: Array, channel_axis: int, channel: int, channels_last: bool) -> None:
        self.data_type = real_type_of(input)
        self._row_length, self._lanes = row_length_and_lanes(
            input.shape, channel_axis, channels_last
        )
        self.elements = np.take(input, channel, channel_axis).ravel()
        self.count = np.float64(self.elements.size)

    def sum(self, terms: Array) -> np.float64:
        return canonical_sum(terms, self._row_length, self._lanes)

    def moments_about(self, shift: np.float64) -> tuple[np.float64, np.float64]:
        """Mean and variance from one pass over (x − shift); an unusable shift is 0."""
        usable = shift if np.isfinite(shift) else np.float64(0)
        shifted = self.elements.astype(np.float64) - usable
        distance = self.sum(shifted) / self.count
        variance = self.sum(shifted * shifted) / self.count - distance * distance
        return usable + distance, np.float64(0) if variance < 0 else variance

    def moments(self) -> tuple[np.float64, np.float64]:
        mean, variance = self.moments_about(np.float64(self.elements[0]))
        if self.data_type is REAL_TYPES["f64"]:
            return self.moments_about(mean)
        return mean, variance


def arithmetic_type(data_type: RealType) -> type[np.float32] | type[np.float64]:
    return np.float64 if data_type is REAL_TYPES["f64"] else np.float32


def stored(value: np.float64, output_type: RealType) -> Array:
    """A channel output: double to float to a 16-bit type."""
    through = np.asarray(value).astype(arithmetic_type(output_type))
    return through.astype(output_type.dtype)


def _inverse(variance: np.float64, epsilon: float) -> np.float64:
    return np.float64(1) / np.sqrt(variance + np.float64(epsilon))


def forward(
    elements: Array,
    gamma: np.float64,
    beta: np.float64,
    mean: np.float64,
    variance: np.float64,
    epsilon: float,
) -> Array:
    """((x − high) − low)·c + beta, with high + low the mean in two pieces."""
    data_type = real_type_of(elements)
    rounded = arithmetic_type(data_type)
    high = rounded(mean)
    low = rounded(mean - np.float64(high))
    scale = rounded(gamma * _inverse(variance, epsilon))
    normalized = ((elements.astype(rounded) - high) - low) * scale + rounded(beta)
    return np.asarray(normalized.astype(data_type.dtype))


def backward(
    elements: Array,
    delta: Array,
    gamma: np.float64,
    mean: np.float64,
    variance: np.float64,
    epsilon: float,
    gamma_delta: np.float64,
    beta_delta: np.float64,
) -> Array:
    """(c·δ − A) − ((x − mean)·s)·K, with s the power of two at 1/√(variance + epsilon)."""
    data_type = real_type_of(elements)
    rounded = arithmetic_type(data_type)
    count = np.float64(elements.size)
    inverse = _inverse(variance, epsilon)
    unit = np.float64(1)
    if np.isfinite(inverse) and inverse != 0:
        limit = np.finfo(rounded).maxexp - 2
        exponent = math.frexp(float(inverse))[1] - 1
        unit = np.float64(math.ldexp(1.0, min(max(exponent, -limit), limit)))
    scale = gamma * inverse
    shift = scale * (beta_delta / count)
    slope = (scale * (gamma_delta / count)) * (inverse / unit)
    centered = elements.astype(rounded) - rounded(mean)
    input_delta = (rounded(scale) * delta.astype(rounded) - rounded(shift)) - (
        centered * rounded(unit)
    ) * rounded(slope)
    return np.asarray(input_delta.astype(data_type.dtype))


def frozen_backward(
    elements: Array,
    delta: Array,
    gamma: np.float64,
    mean: np.float64,
    variance: np.float64,
    epsilon: float,
    gamma_delta: np.float64,
    beta_delta: np.float64,
) -> Array:
    """c·δ; the sums do not enter."""
    data_type = real_type_of(elements)
    rounded = arithmetic_type(data_type)
    input_delta = rounded(gamma * _inverse(variance, epsilon)) * delta.astype(rounded)
    return np.asarray(input_delta.astype(data_type.dtype))


def _double(vector: Array | None, channel: int, missing: float) -> np.float64:
    return np.float64(missing if vector is None else float(vector[channel]))


def _assign(output: Array, channel_axis: int, channel: int, elements: Array) -> None:
    target = np.moveaxis(output, channel_axis, 0)[channel]
    target[...] = elements.reshape(target.shape)


def training(
    input: Array,
    gamma: Array | None,
    beta: Array | None,
    *,
    epsilon: float,
    channel_axis: int,
    channel_type: RealType,
    channels_last: bool,
) -> tuple[Array, Array, Array]:
    """(normalized, mean, variance) of BatchNormTraining."""
    channels = input.shape[channel_axis]
    normalized = np.empty(input.shape, input.dtype)
    mean = np.empty(channels, channel_type.dtype)
    variance = np.empty(channels, channel_type.dtype)
    with np.errstate(all="ignore"):
        for channel in range(channels):
            one = CanonicalChannel(input, channel_axis, channel, channels_last)
            exact_mean, exact_variance = one.moments()
            mean[channel] = stored(exact_mean, channel_type)
            variance[channel] = stored(exact_variance, channel_type)
            elements = forward(
                one.elements,
                _double(gamma, channel, 1),
                _double(beta, channel, 0),
                exact_mean,
                exact_variance,
                epsilon,
            )
            _assign(normalized, channel_axis, channel, elements)
    return normalized, mean, variance


def inference(
    input: Array,
    gamma: Array | None,
    beta: Array | None,
    mean: Array,
    variance: Array,
    *,
    epsilon: float,
    channel_axis: int,
) -> Array:
    """normalized of BatchNormInference."""
    normalized = np.empty(input.shape, input.dtype)
    with np.errstate(all="ignore"):
        for channel in range(input.shape[channel_axis]):
            elements = forward(
                np.take(input, channel, channel_axis).ravel(),
                _double(gamma, channel, 1),
                _double(beta, channel, 0),
                _double(mean, channel, 0),
                _double(variance, channel, 0),
                epsilon,
            )
            _assign(normalized, channel_axis, channel, elements)
    return normalized


def training_backprop(
    input: Array,
    gamma: Array | None,
    beta: Array | None,
    mean: Array,
    variance: Array,
    normalized_delta: Array,
    *,
    epsilon: float,
    channel_axis: int,
    channels_last: bool,
) -> tuple[Array, Array, Array]:
    """(input_delta, gamma_delta, beta_delta) of BatchNormTrainingBackprop."""
    vectors = (gamma, mean, variance)
    options = (epsilon, channel_axis, channels_last)
    return _backprop(backward, input, vectors, normalized_delta, *options)


def inference_backprop(
    input: Array,
    gamma: Array | None,
    beta: Array | None,
    mean: Array,
    variance: Array,
    normalized_delta: Array,
    *,
    epsilon: float,
    channel_axis: int,
    channels_last: bool,
) -> tuple[Array, Array, Array]:
    """(input_delta, gamma_delta, beta_delta) of BatchNormInferenceBackprop."""
    vectors = (gamma, mean, variance)
    options = (epsilon, channel_axis, channels_last)
    return _backprop(frozen_backward, input, vectors, normalized_delta, *options)


def _backprop(
    elements_of: Callable[..., Array],
    input: Array,
    vectors: tuple[Array | None, Array, Array],
    normalized_delta: Array,
    epsilon: float,
    channel_axis: int,
    channels_last: bool,
) -> tuple[Array, Array, Array]:
    """The sums, and what `elements_of` makes of them for each element of input_delta."""
    gamma, mean, variance = vectors
    channel_type = real_type_of(mean)
    channels = input.shape[channel_axis]
    input_delta = np.empty(input.shape, input.dtype)
    gamma_delta = np.empty(channels, channel_type.dtype)
    beta_delta = np.empty(channels, channel_type.dtype)
    with np.errstate(all="ignore"):
        for channel in range(channels):
            one = CanonicalChannel(input, channel_axis, channel, channels_last)
            delta = np.take(normalized_delta, channel, channel_axis).ravel()
            channel_mean = _double(mean, channel, 0)
            channel_variance = _double(variance, channel, 0)
            terms = delta.astype(np.float64)
            delta_sum = one.sum(terms)
            product_sum = one.sum(terms * (one.elements.astype(np.float64) - channel_mean))
            scaled_sum = product_sum * _inverse(channel_variance, epsilon)
            beta_delta[channel] = stored(delta_sum, channel_type)
            gamma_delta[channel] = stored(scaled_sum, channel_type)
            elements = elements_of(
                one.elements,
                delta,
                _double(gamma, channel, 1),
                channel_mean,
                channel_variance,
                epsilon,
                scaled_sum,
                delta_sum,
            )
            _assign(input_delta, channel_axis, channel, elements)
    return input_delta, gamma_delta, beta_delta
