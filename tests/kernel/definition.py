"""The operations by their definition, in 256-bit arithmetic, and the error each output may have.

Nothing here follows the kernels' own algorithm: sums run over exactly converted inputs, in
precision enough for their rounding to be invisible. The one thing taken from the kernels is what
their documentation promises, the bound that comes with each value:

* f16, bf16, f32 data, channel outputs: one unit in the last place of the output's type plus
  1e-12 of the sum of the magnitudes of the terms, scaled as they enter the output; for f16 and
  bf16, which are summed in chains of f32, 18 * 2**-24 of it;
* f16, bf16, f32 data, element-wise outputs: 9u (forward 5u, u = 2**-24) of the largest term of
  the element, plus what the error of the sums brings in; 16-bit outputs add one rounding;
* f64 data: from the canonical summation order, see `summation_depth`.

Arrays here have object elements (mpfr) and the shape (channels, elements per channel).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import gmpy2
import numpy as np
from gmpy2 import mpfr

from .canonical_order import Leaves, affine_type_of, is_channels_last
from .real_types import REAL_TYPES, Array, RealType, real_type_of

gmpy2.get_context().precision = 256

SUM_ERROR = mpfr("1e-12")
CHAIN_ERROR = 18 * mpfr(2) ** -24
SINGLE = REAL_TYPES["f32"]
DOUBLE = REAL_TYPES["f64"]

_to_mpfr = np.frompyfunc(mpfr, 1, 1)
_sqrt = np.frompyfunc(gmpy2.sqrt, 1, 1)
_absolute = np.frompyfunc(abs, 1, 1)


@dataclass(frozen=True)
class Bounded:
    """The exact output (mpfr elements in the output's own shape) and how far off it may be.

    `terms` is what errors are measured in: of an element-wise output the largest term of the
    element, of a channel output the sum of the magnitudes of its terms.
    """

    value: Array
    bound: Array
    output_type: RealType
    terms: Array

    def check(self, actual: Array, what: str) -> None:
        """Asserts that every element of actual is within its bound."""
        assert actual.dtype == self.output_type.dtype, f"{what}: type {actual.dtype}"
        assert actual.shape == self.value.shape, f"{what}: shape {actual.shape}"
        errors = self._errors(actual.astype(np.float64))
        for position in np.argwhere(~(errors <= self.bound).astype(bool)):
            index = tuple(map(int, position))
            raise AssertionError(
                f"{what}: at {index} got {float(actual[index])!r}, the definition gives "
                f"{self.value[index]:.20g}; off by {errors[index]:.5g}, "
                f"{self.bound[index]:.5g} is allowed"
            )

    def _errors(self, computed: Array) -> Array:
        """The distances to the exact values; of an infinity 0 where that is what they round to."""
        # An mpfr minus a float is the same number, and exact() takes longer than the difference.
        errors = _absolute(self.value - computed.astype(object))
        if not np.isinf(computed).any():
            return np.asarray(errors, dtype=object)
        overflows = _absolute(self.value) + self.bound >= self.output_type.overflow_threshold
        is_right = np.isinf(computed) & overflows.astype(bool) & (computed * self.value > 0)
        return np.where(is_right, mpfr(0), errors)


def exact(array: Array) -> Array:
    """The elements as mpfr. Every kernel type converts to double, and double to mpfr, exactly."""
    converted: Array = np.asarray(_to_mpfr(array.astype(np.float64)), dtype=object)
    return converted


def by_channel(array: Array, channel_axis: int) -> Array:
    """(channels, elements per channel), the elements in logical order."""
    moved = np.moveaxis(array, channel_axis, 0)
    return moved.reshape(moved.shape[0], -1)


def like_input(channels: Array, input: Array, channel_axis: int) -> Array:
    """The inverse of by_channel."""
    moved_shape = np.moveaxis(input, channel_axis, 0).shape
    return np.moveaxis(channels.reshape(moved_shape), 0, channel_axis)


def column(vector: Array) -> Array:
    return vector[:, np.newaxis]


def summation_depth(count: int) -> int:
    """How many rounded additions a term of a sum goes through at most.

    At most 64 in its lane, 4 while 16 lanes are folded, and one for each level of the trees over
    pieces and leaves: each may have one more than the logarithm of its nodes.
    """
    return 64 + 4 + math.ceil(math.log2(max(count, 1))) + 2


def sum_error(data_type: RealType, count: int) -> mpfr:
    """The error of a sum, relative to the sum of the magnitudes of its terms.

    f64 terms are the product of a rounded difference and another factor: at most three roundings.
    """
    if data_type is DOUBLE:
        return (summation_depth(count) + 3) * DOUBLE.unit_roundoff
    return SUM_ERROR if data_type is SINGLE else CHAIN_ERROR


def _shifts(input: Array, channel_axis: int) -> Array:
    """Of each element the shift of its block, by the documentation; (channels, elements)."""
    last = is_channels_last(input, channel_axis)
    leaves = Leaves(input.shape, channel_axis, last, real_type_of(input))()
    elements = by_channel(input, channel_axis).astype(np.float64)
    shifts = np.empty_like(elements)
    for block in (block for leaf in leaves for block in leaf):
        numbers = np.concatenate([np.asarray(step) for step in block])
        three = elements[:, numbers[[0, len(numbers) // 2, -1]]]
        shifts[:, numbers] = np.median(three, axis=1)[:, np.newaxis]
    return exact(shifts)


def _rounded_to(output_type: RealType, value: Array, error: Array) -> Array:
    """The bound of a channel output whose double has the given error.

    One unit in the last place covers the roundings to float and to the output's type. A f64
    output is that double, and error covers it.
    """
    if output_type is DOUBLE:
        return error
    return np.array([output_type.spacing(v) + e for v, e in zip(value, error, strict=True)])


def _stored(data_type: RealType, value: Array, error: Array) -> Array:
    """The bound of an element-wise output computed with the given error in float or double.

    8 smallest units cover the underflow of the handful of operations. 16-bit types add half a
    unit in the last place of a result that is off by the error already.
    """
    if data_type is DOUBLE:
        return error + 8 * DOUBLE.smallest
    computed = error + 8 * SINGLE.smallest
    if data_type is SINGLE:
        return computed
    half_spacing = np.frompyfunc(lambda size: data_type.spacing(size) / 2, 1, 1)
    return np.asarray(computed + half_spacing(_absolute(value) + computed), dtype=object)


def _vector(vector: Array | None, missing: int, channels: int) -> Array:
    if vector is None:
        return np.array([mpfr(missing)] * channels, dtype=object)
    return exact(vector)


def _largest(*terms: Array) -> Array:
    largest = terms[0]
    for term in terms[1:]:
        largest = np.maximum(largest, term)
    return largest


def training(
    input: Array,
    gamma: Array | None,
    beta: Array | None,
    *,
    epsilon: float,
    channel_axis: int,
    statistics_type: RealType,
) -> Mapping[str, Bounded]:
    """BatchNormTraining: mean, biased variance, gamma·(x − mean)/√(variance + epsilon) + beta."""
    data_type = real_type_of(input)
    x = exact(by_channel(input, channel_axis))
    channels, count = x.shape
    mean = x.sum(axis=1) / count
    variance = ((x - column(mean)) ** 2).sum(axis=1) / count
    differences = x - _shifts(input, channel_axis)
    spread = _absolute(differences).sum(axis=1) / count
    magnitude = _absolute(x).sum(axis=1) / count
    if data_type is DOUBLE:
        mean_error, variance_error = _two_pass_errors(x, mean, variance, spread + magnitude)
    else:
        # Sums about the shifts of blocks; merging their means is in double.
        squares = (differences**2).sum(axis=1) / count
        merging = SUM_ERROR * magnitude
        if data_type is SINGLE:
            mean_error = SUM_ERROR * spread + merging
            variance_error = SUM_ERROR * squares + merging * _sqrt(variance)
        else:
            mean_error = CHAIN_ERROR * spread + merging
            variance_error = 52 * mpfr(2) ** -24 * squares + merging * _sqrt(variance)
            variance_error = variance_error + SINGLE.smallest

    scale = _vector(gamma, 1, channels) / _sqrt(variance + mpfr(epsilon))
    offset = column(_vector(beta, 0, channels))
    scaled = (x - column(mean)) * column(scale)
    normalized = scaled + offset
    # Forward in float: x − high and the rounding of c make 2u of the term, that of the shift u of
    # beta, the fused result u of itself, which is at most twice the larger term: 5u. In double the
    # factor is gamma/√(…) with 4 roundings, x − mean, the shift and the result: 8u.
    u = data_type.unit_roundoff if data_type is DOUBLE else SINGLE.unit_roundoff
    rounding = (8 if data_type is DOUBLE else 5) * u
    from_statistics = _absolute(column(scale)) * column(mean_error) + _absolute(scaled) * column(
        variance_error / (2 * (variance + mpfr(epsilon)))
    )
    terms = _largest(_absolute(scaled), _absolute(offset))
    error = rounding * terms + from_statistics
    return {
        "normalized": Bounded(
            like_input(normalized, input, channel_axis),
            like_input(_stored(data_type, normalized, error), input, channel_axis),
            data_type,
            like_input(terms, input, channel_axis),
        ),
        "mean": Bounded(
            mean,
            _rounded_to(statistics_type, mean, mean_error),
            statistics_type,
            _absolute(x).sum(axis=1) / count,
        ),
        "variance": Bounded(
            variance,
            _rounded_to(statistics_type, variance, variance_error),
            statistics_type,
            variance,
        ),
    }


def _two_pass_errors(x: Array, mean: Array, variance: Array, spread: Array) -> tuple[Array, Array]:
    """Errors of mean and variance for f64 data.

    The first pass gives mean0 with the error e0, of which the rounding of the mean itself may be
    the larger part. The second sums d = x − mean0 (|d| averages to at most spread about the mean,
    plus e0), adds S1/n to mean0, and takes (S1/n)², which is about e0², off S2/n.
    """
    count = x.shape[1]
    u = DOUBLE.unit_roundoff
    per_sum = sum_error(DOUBLE, count)
    first_error = (per_sum + 2 * u) * spread + 2 * u * _absolute(mean)
    about_mean = _absolute(x - column(mean)).sum(axis=1) / count + first_error
    correction_error = (per_sum + 2 * u) * about_mean
    mean_error = correction_error + u * _absolute(mean)
    variance_error = (per_sum + 4 * u) * (variance + first_error**2) + 2 * (
        first_error + correction_error
    ) * correction_error
    return mean_error, variance_error


def inference(
    input: Array,
    gamma: Array | None,
    beta: Array | None,
    mean: Array,
    variance: Array,
    *,
    epsilon: float,
    channel_axis: int,
) -> Bounded:
    """BatchNormInference: gamma·(x − mean)/√(variance + epsilon) + beta, statistics as given."""
    data_type = real_type_of(input)
    x = exact(by_channel(input, channel_axis))
    channels = x.shape[0]
    scale = column(_vector(gamma, 1, channels) / _sqrt(exact(variance) + mpfr(epsilon)))
    offset = column(_vector(beta, 0, channels))
    scaled = (x - column(exact(mean))) * scale
    normalized = scaled + offset
    u = data_type.unit_roundoff if data_type is DOUBLE else SINGLE.unit_roundoff
    rounding = (8 if data_type is DOUBLE else 5) * u  # counted as in `training`
    terms = _largest(_absolute(scaled), _absolute(offset))
    return Bounded(
        like_input(normalized, input, channel_axis),
        like_input(_stored(data_type, normalized, rounding * terms), input, channel_axis),
        data_type,
        like_input(terms, input, channel_axis),
    )


@dataclass(frozen=True)
class _Backprop:
    """Common parts of both backward passes: x̂, the sums over each channel, and their errors."""

    input: Array
    data_type: RealType
    channel_type: RealType
    channel_axis: int
    delta: Array
    x_hat: Array
    scale: Array  # gamma·inv, a column
    inverse: Array

    @property
    def count(self) -> int:
        return int(self.delta.shape[1])

    @property
    def unit_roundoff(self) -> mpfr:
        return (DOUBLE if self.data_type is DOUBLE else SINGLE).unit_roundoff

    @cached_property
    def beta_delta(self) -> Array:
        return np.asarray(self.delta.sum(axis=1))

    @cached_property
    def gamma_delta(self) -> Array:
        return np.asarray((self.delta * self.x_hat).sum(axis=1))

    @cached_property
    def beta_terms(self) -> Array:
        return np.asarray(_absolute(self.delta).sum(axis=1))

    @cached_property
    def gamma_terms(self) -> Array:
        return np.asarray(_absolute(self.delta * self.x_hat).sum(axis=1))

    @cached_property
    def beta_error(self) -> Array:
        return np.asarray(sum_error(self.data_type, self.count) * self.beta_terms)

    @cached_property
    def product_error(self) -> Array:
        """Error of Σδ·(x − mean), times inv."""
        error = sum_error(self.data_type, self.count) * self.gamma_terms
        if self.data_type not in (SINGLE, DOUBLE):
            # Products of floats that underflow.
            error = error + self.count * SINGLE.smallest * self.inverse
        return np.asarray(error)

    @cached_property
    def gamma_error(self) -> Array:
        if self.data_type is not DOUBLE:
            return self.product_error
        # 1/√(variance + epsilon) and the product with the sum: 4 roundings.
        rounding = 4 * DOUBLE.unit_roundoff * _absolute(self.gamma_delta)
        return np.asarray(self.product_error + rounding)

    def outputs(self, input_delta: Array, terms: Array, error: Array) -> Mapping[str, Bounded]:
        return {
            "input_delta": Bounded(
                like_input(input_delta, self.input, self.channel_axis),
                like_input(
                    _stored(self.data_type, input_delta, error), self.input, self.channel_axis
                ),
                self.data_type,
                like_input(terms, self.input, self.channel_axis),
            ),
            "gamma_delta": Bounded(
                self.gamma_delta,
                _rounded_to(self.channel_type, self.gamma_delta, self.gamma_error),
                self.channel_type,
                self.gamma_terms,
            ),
            "beta_delta": Bounded(
                self.beta_delta,
                _rounded_to(self.channel_type, self.beta_delta, self.beta_error),
                self.channel_type,
                self.beta_terms,
            ),
        }


def _backprop(
    input: Array,
    gamma: Array | None,
    mean: Array,
    variance: Array,
    normalized_delta: Array,
    epsilon: float,
    channel_axis: int,
) -> _Backprop:
    x = exact(by_channel(input, channel_axis))
    inverse = 1 / _sqrt(exact(variance) + mpfr(epsilon))
    return _Backprop(
        input=input,
        data_type=real_type_of(input),
        channel_type=affine_type_of(input, gamma),
        channel_axis=channel_axis,
        delta=exact(by_channel(normalized_delta, channel_axis)),
        x_hat=(x - column(exact(mean))) * column(inverse),
        scale=column(_vector(gamma, 1, len(x)) * inverse),
        inverse=inverse,
    )


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
) -> Mapping[str, Bounded]:
    """BatchNormTrainingBackprop at the statistics given; beta is not read."""
    one = _backprop(input, gamma, mean, variance, normalized_delta, epsilon, channel_axis)
    delta_term = one.scale * one.delta
    beta_term = one.scale * column(one.beta_delta) / one.count
    gamma_term = one.scale * one.x_hat * column(one.gamma_delta) / one.count
    # In float, each coefficient is rounded once: delta_term, beta_term, gamma_term collect
    # 1u, 1u and 2u, and the two fused results add at most 2u and 3u of the largest: 9u.
    # In double the coefficients' own roundings count as well: 5u, 6u, 18u, and 5u.
    rounding = (34 if one.data_type is DOUBLE else 9) * one.unit_roundoff
    from_sums = _absolute(one.scale) * (
        column(one.beta_error) + _absolute(one.x_hat) * column(one.product_error)
    )
    terms = _largest(_absolute(delta_term), _absolute(beta_term), _absolute(gamma_term))
    error = rounding * terms + from_sums / one.count
    return one.outputs(delta_term - beta_term - gamma_term, terms, error)


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
) -> Mapping[str, Bounded]:
    """BatchNormInferenceBackprop: mean and variance are given; beta is not read."""
    one = _backprop(input, gamma, mean, variance, normalized_delta, epsilon, channel_axis)
    input_delta = one.scale * one.delta
    # In float the coefficient and the product are rounded once each: 2u, and what is left of the
    # roundings in double. In double these are 3.5: half for variance + epsilon, which stands under
    # the root, the root, the division, gamma. With the product 4.5u.
    rounding = (5 if one.data_type is DOUBLE else 3) * one.unit_roundoff
    terms = _absolute(input_delta)
    return one.outputs(input_delta, terms, rounding * terms)
