"""The kernels' arithmetic, operation by operation, in Python: results must agree to the bit.

This is the documented summation order and the documented element-wise formulas, stated
a second time and independently of the C++ sources. Sums are made with Python's own floats, one
addition after the other; numpy does the element-wise operations, each rounded once.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .real_types import REAL_TYPES, Array, RealType, real_type_of

VERSION = 2
STEPS_PER_BLOCK = 64
STEPS_PER_CHAIN = 16

#: numpy has no fused multiply-add, and Python has one from 3.13 on.
_LIBM = ctypes.CDLL(ctypes.util.find_library("m"))
_FMA = {np.float32: _LIBM.fmaf, np.float64: _LIBM.fma}
for _type, _function in _FMA.items():
    _c_type = ctypes.c_float if _type is np.float32 else ctypes.c_double
    _function.argtypes, _function.restype = [_c_type] * 3, _c_type


def fma(a: Array, b: Array, c: Array) -> Array:
    """a·b + c, rounded once, for arrays of one type."""
    one = _FMA[c.dtype.type]
    is_plain = a.shape == b.shape == c.shape
    broadcast = (a, b, c) if is_plain else np.broadcast_arrays(a, b, c)
    numbers = zip(*(part.ravel().tolist() for part in broadcast), strict=True)
    return np.array([one(*three) for three in numbers], c.dtype).reshape(broadcast[0].shape)


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


#: A step, as the numbers of its elements in the channel; a block is a list of steps.
Step = range
Block = list[Step]


def lanes_of(channels: int, channels_last: bool, data_type: RealType) -> int:
    accumulators = 32 if is_16_bit(data_type) else 16
    if not channels_last:
        return accumulators
    lanes = 1
    while lanes * channels < accumulators:
        lanes *= 2
    return lanes


def is_16_bit(data_type: RealType) -> bool:
    return data_type.dtype.itemsize == 2


def steps_of_rows(rows: Sequence[range], lanes: int) -> Block:
    """Steps begin anew at every row."""
    return [row[begin : begin + lanes] for row in rows for begin in range(0, len(row), lanes)]


class Leaves:
    """The leaves of the tree, each a list of blocks: one of whole samples, or the pieces of one."""

    def __init__(
        self, shape: Sequence[int], channel_axis: int, channels_last: bool, data_type: RealType
    ) -> None:
        channel_axis %= len(shape)
        self.lanes = lanes_of(shape[channel_axis], channels_last, data_type)
        if channel_axis == 0:
            self._samples, self._rows = shape[1], 1
            self._length = math.prod(shape[2:])
        else:
            self._samples, self._rows = shape[0], math.prod(shape[1:channel_axis])
            self._length = math.prod(shape[channel_axis + 1 :])
        if channels_last or self._length == 1:
            # One row of all samples that a block has.
            self._is_one_row, self._length, self._rows = True, self._rows * self._length, 1
        else:
            self._is_one_row = False

    def __call__(self) -> list[list[Block]]:
        if len(self._steps(0, 1)) > STEPS_PER_BLOCK:
            return [self._pieces(sample) for sample in range(self._samples)]
        count = 1
        while len(self._steps(0, 2 * count)) <= STEPS_PER_BLOCK:
            count *= 2
        return [
            [self._steps(begin, min(begin + count, self._samples))]
            for begin in range(0, self._samples, count)
        ]

    def _rows_of(self, begin: int, end: int) -> list[range]:
        """The rows of these samples."""
        if self._is_one_row:
            return [range(begin * self._length, end * self._length)]
        first, last = begin * self._rows, end * self._rows
        return [range(row * self._length, (row + 1) * self._length) for row in range(first, last)]

    def _steps(self, begin: int, end: int) -> Block:
        return steps_of_rows(self._rows_of(begin, end), self.lanes)

    def _pieces(self, sample: int) -> list[Block]:
        rows = self._rows_of(sample, sample + 1)
        steps_per_row = -(-self._length // self.lanes)
        if steps_per_row <= STEPS_PER_BLOCK:
            count = STEPS_PER_BLOCK // steps_per_row
            return [
                steps_of_rows(rows[begin : begin + count], self.lanes)
                for begin in range(0, len(rows), count)
            ]
        steps = [steps_of_rows([row], self.lanes) for row in rows]
        return [
            of_row[begin : begin + STEPS_PER_BLOCK]
            for of_row in steps
            for begin in range(0, len(of_row), STEPS_PER_BLOCK)
        ]


class Sums(NamedTuple):
    """Σ value and Σ value·factor, in double."""

    values: np.float64
    products: np.float64

    def __add__(self, right: Sums) -> Sums:  # type: ignore[override]
        return Sums(self.values + right.values, self.products + right.products)


def block_sums(block: Block, lanes: int, value: Array, factor: Array) -> Sums:
    """Terms that are float32 are added in chains, which are added in double."""
    totals = np.zeros((2, lanes))
    chains = np.zeros((2, lanes), value.dtype)
    for number, step in enumerate(block, 1):
        used = slice(len(step))
        chains[0, used] += value[step]
        chains[1, used] = fma(value[step], factor[step], chains[1, used])
        if value.dtype == np.float32 and (number % STEPS_PER_CHAIN == 0 or number == len(block)):
            totals += chains
            chains[...] = 0
    if value.dtype == np.float64:
        totals = chains
    while lanes > 1:
        lanes //= 2
        totals = totals[:, :lanes] + totals[:, lanes:]
    return Sums(totals[0, 0], totals[1, 0])


class Moments(NamedTuple):
    """The number of elements, their mean, and Σ(x − mean)²."""

    count: int
    mean: np.float64
    squares: np.float64

    def __add__(self, right: Moments) -> Moments:  # type: ignore[override]
        count = self.count + right.count
        to_mean = np.float64(right.count) / np.float64(count)
        distance = right.mean - self.mean
        squares = (self.squares + right.squares) + (distance * distance) * (self.count * to_mean)
        return Moments(count, self.mean + distance * to_mean, squares)


def moments_of(count: int, shift: np.float64, sums: Sums) -> Moments:
    distance = sums.values / np.float64(count)
    squares = sums.products - sums.values * distance
    return Moments(count, shift + distance, np.float64(0) if squares < 0 else squares)


def tree_sum(nodes: Sequence[Any]) -> Any:
    """Splits at the largest power of two below the number of nodes."""
    if len(nodes) == 1:
        return nodes[0]
    split = 1
    while split * 2 < len(nodes):
        split *= 2
    return tree_sum(nodes[:split]) + tree_sum(nodes[split:])


class CanonicalChannel:
    """One channel of a problem: its elements, and how they are summed."""

    def __init__(self, input: Array, channel_axis: int, channel: int, channels_last: bool) -> None:
        self.data_type = real_type_of(input)
        self._leaves = Leaves(input.shape, channel_axis, channels_last, self.data_type)
        self.elements = np.take(input, channel, channel_axis).ravel()
        self.term_type = np.float32 if is_16_bit(self.data_type) else np.float64
        self._terms = self.elements.astype(self.term_type)

    def _combined(self, node_of: Callable[[Block], Any]) -> Any:
        return tree_sum([tree_sum([node_of(block) for block in leaf]) for leaf in self._leaves()])

    def sums(self, value: Array, factor: Array) -> Sums:
        """Of values and factors of the term type, in logical order."""
        sums: Sums = self._combined(
            lambda block: block_sums(block, self._leaves.lanes, value, factor)
        )
        return sums

    def differences(self, mean: np.float64) -> Array:
        return np.asarray(self._terms - self.term_type(mean))

    def about(self, mean: np.float64, products: np.float64, values: np.float64) -> np.float64:
        """Σδ·(x − mean) from the sum about what the term type has of the mean, and Σδ."""
        rest = mean - np.float64(self.term_type(mean))
        return products - rest * values if rest != 0 and np.isfinite(rest) else products

    def _moments_of_block(self, block: Block) -> Moments:
        """About the median of the block's first, middle and last element; an infinite one is 0."""
        elements = np.concatenate([self._terms[step] for step in block])
        # A zero is +0, whichever of two the median took.
        shift = np.median([elements[0], elements[len(elements) // 2], elements[-1]]) + 0.0
        if not np.isfinite(shift):
            shift = np.float64(0)
        difference = self.differences(shift)
        sums = block_sums(block, self._leaves.lanes, difference, difference)
        return moments_of(len(elements), shift, sums)

    def moments(self) -> tuple[np.float64, np.float64]:
        """Mean and variance; those of f64 data by a second pass, about the mean of the first."""
        moments: Moments = self._combined(self._moments_of_block)
        if self.data_type is REAL_TYPES["f64"]:
            shift = moments.mean if np.isfinite(moments.mean) else np.float64(0)
            difference = self.differences(shift)
            moments = moments_of(moments.count, shift, self.sums(difference, difference))
        return moments.mean, moments.squares / np.float64(moments.count)


def arithmetic_type(data_type: RealType) -> type[np.float32] | type[np.float64]:
    return np.float64 if data_type is REAL_TYPES["f64"] else np.float32


def stored(value: np.float64, output_type: RealType) -> Array:
    """A channel output: double to float to a 16-bit type."""
    through = np.asarray(value).astype(arithmetic_type(output_type))
    return through.astype(output_type.dtype)


def _inverse(variance: np.float64, epsilon: float) -> np.float64:
    return np.float64(1) / np.sqrt(variance + np.float64(epsilon))


def _inverse_of_batch(variance: np.float64, epsilon: float) -> np.float64:
    """In training an infinite sum is no number to divide by."""
    radicand = variance + np.float64(epsilon)
    return np.float64(np.nan) if np.isinf(radicand) else _inverse(variance, epsilon)


def affine_type_of(input: Array, gamma: Array | None) -> RealType:
    """The type of gamma_delta and beta_delta: gamma's, or the one that stands in for it."""
    if gamma is not None:
        return real_type_of(gamma)
    return REAL_TYPES["f64" if input.dtype == np.float64 else "f32"]


def forward(
    elements: Array,
    gamma: np.float64,
    beta: np.float64,
    mean: np.float64,
    inverse: np.float64,
    residual: Array | None = None,
) -> Array:
    """fma(x − high, c, b), where b is beta less what rounding the mean has left, times c.

    A residual is added before the result is rounded to the type of the data.
    """
    data_type = real_type_of(elements)
    rounded = arithmetic_type(data_type)
    high = rounded(mean)
    scale = rounded(gamma * inverse)
    shift = rounded(beta - (mean - np.float64(high)) * np.float64(scale))
    normalized = fma(elements.astype(rounded) - high, np.asarray(scale), np.asarray(shift))
    if residual is not None:
        normalized = normalized + residual.astype(rounded)
    return np.asarray(normalized.astype(data_type.dtype))


def unit_and_slope(
    scaled: np.float64, inverse: np.float64, rounded: type[np.float32] | type[np.float64]
) -> tuple[np.float64, np.float64]:
    """Factors whose product is scaled·inverse. The first is 1 where the second is in range then."""
    unit = np.float64(1)
    if np.isfinite(inverse) and inverse != 0:
        limit = np.finfo(rounded).maxexp - 2
        exponent = math.frexp(float(inverse))[1] - 1
        unit = np.float64(math.ldexp(1.0, min(max(exponent, -limit), limit)))
    split = scaled * (inverse / unit)
    whole = split * unit
    largest = math.ldexp(1.0, np.finfo(rounded).maxexp - 1)
    if np.finfo(rounded).tiny <= abs(whole) <= largest or not np.isfinite(split) or split == 0:
        return np.float64(1), whole
    return unit, split


def backward(
    elements: Array,
    delta: Array,
    gamma: np.float64,
    mean: np.float64,
    inverse: np.float64,
    gamma_delta: np.float64,
    beta_delta: np.float64,
) -> Array:
    """fma(s·(x − mean), −K, fma(c, δ, −A)), with s = 1 wherever K is in range."""
    data_type = real_type_of(elements)
    rounded = arithmetic_type(data_type)
    count = np.float64(elements.size)
    scale = gamma * inverse
    unit, slope = unit_and_slope(scale * (gamma_delta / count), inverse, rounded)
    rest = mean - np.float64(rounded(mean))
    shift = scale * (beta_delta / count)
    if rest != 0:
        shift -= rest * (unit * slope)
    centered = rounded(unit) * (elements.astype(rounded) - rounded(mean))
    inner = fma(np.asarray(rounded(scale)), delta.astype(rounded), np.asarray(rounded(-shift)))
    input_delta = fma(centered, np.asarray(rounded(-slope)), inner)
    return np.asarray(input_delta.astype(data_type.dtype))


def frozen_backward(
    elements: Array,
    delta: Array,
    gamma: np.float64,
    mean: np.float64,
    inverse: np.float64,
    gamma_delta: np.float64,
    beta_delta: np.float64,
) -> Array:
    """c·δ; the sums do not enter."""
    data_type = real_type_of(elements)
    rounded = arithmetic_type(data_type)
    input_delta = rounded(gamma * inverse) * delta.astype(rounded)
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
    statistics_type: RealType,
    channels_last: bool,
    residual: Array | None = None,
) -> tuple[Array, Array, Array]:
    """(normalized, mean, variance) of BatchNormTraining; a residual is added to the first."""
    channels = input.shape[channel_axis]
    normalized = np.empty(input.shape, input.dtype)
    mean = np.empty(channels, statistics_type.dtype)
    variance = np.empty(channels, statistics_type.dtype)
    with np.errstate(all="ignore"):
        for channel in range(channels):
            one = CanonicalChannel(input, channel_axis, channel, channels_last)
            exact_mean, exact_variance = one.moments()
            mean[channel] = stored(exact_mean, statistics_type)
            variance[channel] = stored(exact_variance, statistics_type)
            elements = forward(
                one.elements,
                _double(gamma, channel, 1),
                _double(beta, channel, 0),
                exact_mean,
                _inverse_of_batch(exact_variance, epsilon),
                None if residual is None else np.take(residual, channel, channel_axis).ravel(),
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
    residual: Array | None = None,
) -> Array:
    """normalized of BatchNormInference; its sum with a residual, if there is one."""
    normalized = np.empty(input.shape, input.dtype)
    with np.errstate(all="ignore"):
        for channel in range(input.shape[channel_axis]):
            elements = forward(
                np.take(input, channel, channel_axis).ravel(),
                _double(gamma, channel, 1),
                _double(beta, channel, 0),
                _double(mean, channel, 0),
                _inverse(_double(variance, channel, 0), epsilon),
                None if residual is None else np.take(residual, channel, channel_axis).ravel(),
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
    return _backprop(backward, _inverse_of_batch, input, vectors, normalized_delta, *options)


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
    return _backprop(frozen_backward, _inverse, input, vectors, normalized_delta, *options)


def _backprop(
    elements_of: Callable[..., Array],
    inverse_of: Callable[[np.float64, float], np.float64],
    input: Array,
    vectors: tuple[Array | None, Array, Array],
    normalized_delta: Array,
    epsilon: float,
    channel_axis: int,
    channels_last: bool,
) -> tuple[Array, Array, Array]:
    """The sums, and what `elements_of` makes of them for each element of input_delta."""
    gamma, mean, variance = vectors
    channel_type = affine_type_of(input, gamma)
    channels = input.shape[channel_axis]
    input_delta = np.empty(input.shape, input.dtype)
    gamma_delta = np.empty(channels, channel_type.dtype)
    beta_delta = np.empty(channels, channel_type.dtype)
    with np.errstate(all="ignore"):
        for channel in range(channels):
            one = CanonicalChannel(input, channel_axis, channel, channels_last)
            delta = np.take(normalized_delta, channel, channel_axis).ravel()
            channel_mean = _double(mean, channel, 0)
            inverse = inverse_of(_double(variance, channel, 0), epsilon)
            delta_sum, product_sum = one.sums(
                delta.astype(one.term_type), one.differences(channel_mean)
            )
            product_sum = one.about(channel_mean, product_sum, delta_sum)
            scaled_sum = product_sum * inverse
            beta_delta[channel] = stored(delta_sum, channel_type)
            gamma_delta[channel] = stored(scaled_sum, channel_type)
            elements = elements_of(
                one.elements,
                delta,
                _double(gamma, channel, 1),
                channel_mean,
                inverse,
                scaled_sum,
                delta_sum,
            )
            _assign(input_delta, channel_axis, channel, elements)
    return input_delta, gamma_delta, beta_delta
