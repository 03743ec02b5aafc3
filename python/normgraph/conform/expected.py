"""Expected outputs of a case, exact, with what an implementation may be off by.

Two limits for each element. The *bound* is what sums in a wider type reach, whatever the data:
that of `normgraph.check.accuracy`. The *tolerance* is what any order of summation in the
arithmetic type (float for data of up to 32 bits, else double) explains, the rounding of a mean
that is far from zero included. Formulas, with u the unit roundoff of that type and n the count:

- a sum of n terms is off by n·u of the sum of its |terms|; n + 8 with the roundings of terms;
- x̂ is off by e = u·(4 + n)·max|x|·inv, the rounding of the mean (4 u where the mean is given), and
  by that of inv, relative (n + 8)·u + e²;
- outputs carry that, 4 roundings of each of their terms, and one to their type.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.check import accuracy
from normgraph.check.accuracy import F64, Format
from normgraph.definition import Float64Array

from .cases import BATCH, Case
from .exact import exact_sum, high_and_low, inverse_root, nearest, nearest_double

#: The expected outputs of so many cases are kept for the next function.
KEPT_CASES = 2048

#: An array of `fractions.Fraction`.
Rationals = npt.NDArray[Any]

_exact = np.frompyfunc(Fraction, 1, 1)
_double = np.frompyfunc(nearest_double, 1, 1)


@dataclass(frozen=True)
class Expected:
    """One output. high + low: the exact value; NaN where any NaN or infinity is right.

    rounded: the value in the output's type. bound, tolerance: see above. magnitude: what errors
    are counted in ulps of: the largest term of an element, for a sum that of its |terms|.
    """

    format: Format
    rounded: Float64Array
    high: Float64Array
    low: Float64Array
    bound: Float64Array
    tolerance: Float64Array
    magnitude: Float64Array


def doubles(values: Rationals) -> Float64Array:
    """Round an array of rational numbers to double."""
    return np.asarray(_double(values), np.float64).reshape(values.shape)


def only(where: npt.NDArray[np.bool_], terms: Rationals) -> Rationals:
    """Return terms with 0 where they are not wanted."""
    zero: Any = Fraction(0)
    return np.asarray(np.where(where, terms, zero), object)


class Channels:
    """A case's finite channels: rational numbers of shape (n, c), and the terms of all outputs.

    given: whether the statistics are those of the inputs; else they are the batch's own, exact.
    """

    def __init__(self, case: Case, given: bool) -> None:
        self.case = case
        self.arithmetic_unit = 2.0**-53 if case.data is F64 else 2.0**-24
        x, counted = case.rows("x"), case.counted
        # What is not finite spoils its channel if it enters the statistics, else its element.
        finite = np.ones(case.channels, bool)
        if case.role in BATCH:
            finite = np.asarray(np.isfinite(x[counted]).all(axis=0))
        self.finite = finite
        self.n = int(counted.sum())
        self.counted = counted[:, np.newaxis]
        self.x_is_finite = np.isfinite(x[:, finite])
        self.x = self._rational(np.where(self.x_is_finite, x[:, finite], 0.0))
        # An empty batch has no statistics of its own.
        self.given = "mean" in case.inputs and (given or self.n == 0)
        self.gamma, self.beta = self.vector("gamma"), self.vector("beta")

    def _rational(self, values: Float64Array) -> Rationals:
        return np.asarray(_exact(values), object).reshape(values.shape)

    def vector(self, name: str) -> Rationals:
        """Return an input of shape (C,), of the finite channels."""
        return self._rational(self.case.inputs[name][self.finite])

    def rows(self, name: str) -> Rationals:
        """Return an input of x's shape, of the finite channels."""
        return self._rational(self.case.rows(name)[:, self.finite])

    def sum(self, terms: Rationals) -> Rationals:
        """(n, c) -> (c): exact sums; Fractions, of no terms as well."""
        return np.array([exact_sum(column) for column in terms.T], object)

    def counting(self, terms: Rationals) -> Rationals:
        """Return terms with 0 at the positions that do not count."""
        return only(self.counted, terms)

    @cached_property
    def mean(self) -> Rationals:
        if self.given:
            return self.vector("mean")
        return np.asarray(self.sum(self.counting(self.x)) / self.n, object)

    @cached_property
    def variance(self) -> Rationals:
        if self.given:
            return self.vector("variance")
        return np.asarray(self.sum(self.counting((self.x - self.mean) ** 2)) / self.n, object)

    @cached_property
    def inverse(self) -> Rationals:
        radicand = self.variance + Fraction(self.case.epsilon)
        return np.array([inverse_root(value) for value in radicand], object)

    @cached_property
    def x_hat(self) -> Rationals:
        return np.asarray((self.x - self.mean) * self.inverse, object)

    @cached_property
    def linear(self) -> Rationals:
        """What a ReLU is applied to: the normalized values, with the residual if there is one."""
        normalized = self.gamma * self.x_hat + self.beta
        return np.asarray(
            normalized + self.rows("residual") if "residual" in self.case.inputs else normalized,
            object,
        )

    @property
    def passes(self) -> npt.NDArray[np.bool_]:
        """Which elements a ReLU lets pass; all without one."""
        if self.case.activation == "none":
            return np.ones(self.x.shape, bool)
        passes = np.asarray(self.linear > 0, bool)
        upper_bound = self.case.upper_bound
        return passes if upper_bound is None else passes & np.asarray(self.linear < upper_bound)

    @cached_property
    def normalized(self) -> Rationals:
        if self.case.activation == "none":
            return self.linear
        upper_bound = self.case.upper_bound
        positive = only(self.linear > 0, self.linear)
        if upper_bound is None:
            return positive
        bound: Any = Fraction(upper_bound)
        return np.asarray(np.where(positive < bound, positive, bound), object)

    # ---- gradients -------------------------------------------------------------------------------

    @cached_property
    def delta(self) -> Rationals:
        return only(self.passes, self.rows("delta"))

    @property
    def delta_of_all(self) -> Rationals:
        """(n, C): delta of all channels, those that are not finite as well."""
        if self.finite.all():
            return self.delta
        return self._rational(self.case.rows("delta"))

    @cached_property
    def beta_delta(self) -> Rationals:
        return self.sum(self.delta)

    @cached_property
    def gamma_delta(self) -> Rationals:
        return self.sum(self.delta * self.x_hat)

    @cached_property
    def input_delta(self) -> Rationals:
        scaled = self.gamma * self.inverse
        if self.case.role == "inference_backward":
            return np.asarray(scaled * self.delta, object)
        correction = self.counting(self.beta_delta + self.x_hat * self.gamma_delta)
        return np.asarray(scaled * (self.delta - correction / max(self.n, 1)), object)

    # ---- what may be off -------------------------------------------------------------------------

    @cached_property
    def sum_unit(self) -> float:
        """The error of a sum in any order, relative to the sum of its |terms|."""
        return (len(self.x) + 8) * self.arithmetic_unit

    @cached_property
    def x_size(self) -> Float64Array:
        """(c,): the largest |x| that counts, and |mean|."""
        sizes = np.abs(doubles(self.counting(self.x)))
        return np.asarray(np.maximum(sizes.max(axis=0, initial=0.0), np.abs(doubles(self.mean))))

    @cached_property
    def mean_error(self) -> Float64Array:
        """(c,): the error of x̂ by that of the mean."""
        units = 4 if self.given else 4 + self.n
        error: Float64Array = units * self.arithmetic_unit * self.x_size * doubles(self.inverse)
        return error

    @cached_property
    def inverse_error(self) -> Float64Array:
        """(c,): the relative error of inv."""
        error: Float64Array = self.sum_unit + self.mean_error**2
        return error

    @cached_property
    def x_hat_error(self) -> Float64Array:
        """(n, c): the error of x̂."""
        x_hat = np.abs(doubles(self.x_hat))
        error: Float64Array = self.mean_error + x_hat * self.inverse_error
        return error


@functools.lru_cache(maxsize=KEPT_CASES)
def expected_outputs(case: Case, given: bool = True) -> Mapping[str, Expected]:
    """Return what a case's function should return, by name.

    given: whether a backward function is judged at the statistics among the inputs; else at the
    batch's own, exact ones, for a function that is not given them.
    """
    channels = Channels(case, given)
    with np.errstate(all="ignore"):
        return backward(channels) if case.is_backward else forward(channels)


def of_check(channels: Channels) -> accuracy.Case:
    """Return the case as `normgraph check` describes it, which knows the bounds of its types."""
    case, nothing = channels.case, np.empty(0)
    return accuracy.Case(
        *(case.data, case.vector, case.channel_axis),
        *(case.inputs["x"], case.inputs.get("delta", nothing)),
        *(case.inputs["gamma"], case.inputs["beta"]),
        *(case.inputs.get("mean", nothing), case.inputs.get("variance", nothing)),
    )


def forward(channels: Channels) -> Mapping[str, Expected]:
    """Return normalized and, in training, mean and variance."""
    case, limits = channels.case, of_check(channels)
    u = channels.arithmetic_unit
    gamma, inverse = np.abs(doubles(channels.gamma)), doubles(channels.inverse)
    beta, variance = doubles(channels.beta), doubles(channels.variance)
    scaled = gamma * np.abs(doubles(channels.x_hat))
    linear = doubles(channels.linear)
    terms = scaled + np.abs(beta)
    if "residual" in case.inputs:
        terms = terms + np.abs(doubles(channels.rows("residual")))
    storage = case.data.ulp(np.abs(linear) + case.data.ulp(linear))
    tolerance = gamma * channels.x_hat_error + 4 * u * terms + storage
    bound = accuracy.forward_bound(limits, linear, beta) + limits.element_bound(2, terms)
    outputs = {}
    if case.role == "training":
        deviations = np.abs(doubles(channels.x - channels.mean)) * channels.counted
        size = np.abs(doubles(channels.x)) * channels.counted
        n = channels.n
        mean_size, farthest = size.sum(axis=0) / n, deviations.max(axis=0)
        # As `normgraph check` counts them: shifts of blocks are elements of theirs.
        mean_terms = mean_size + deviations.sum(axis=0) / n + farthest
        variance_terms = 3 * (variance + farthest**2)
        epsilon = case.epsilon
        from_variance = scaled * variance_terms / (variance + epsilon)
        bound += limits.sum_error * (gamma * inverse * mean_terms + from_variance)
        rounded_mean = channels.sum_unit * mean_size
        everywhere = np.ones_like(variance, bool)
        outputs["mean"] = finished(
            *(channels, "mean", channels.mean),
            (
                limits.channel_bound(doubles(channels.mean), mean_terms),
                rounded_mean + case.vector.ulp(mean_size),
            ),
            *(mean_size, everywhere),
        )
        outputs["variance"] = finished(
            *(channels, "variance", channels.variance),
            (
                limits.channel_bound(variance, variance_terms),
                channels.sum_unit * variance + 2 * rounded_mean**2 + case.vector.ulp(variance),
            ),
            *(variance, everywhere),
        )
    is_right = channels.x_is_finite
    return {
        "normalized": finished(
            channels, "normalized", channels.normalized, (bound, tolerance), terms, is_right
        ),
        **outputs,
    }


def backward(channels: Channels) -> Mapping[str, Expected]:
    """Return input_delta, gamma_delta, beta_delta and, of a residual, residual_delta."""
    case, limits = channels.case, of_check(channels)
    u, n = channels.arithmetic_unit, max(channels.n, 1)
    is_batch = case.role == "backward"
    scale = np.abs(doubles(channels.gamma)) * doubles(channels.inverse)
    x_hat, error = np.abs(doubles(channels.x_hat)), channels.x_hat_error
    delta = np.abs(doubles(channels.delta))
    beta_sum, gamma_sum = delta.sum(axis=0), (delta * x_hat).sum(axis=0)
    beta_delta, gamma_delta = doubles(channels.beta_delta), doubles(channels.gamma_delta)
    input_delta = doubles(channels.input_delta)

    gamma_error = channels.sum_unit * (delta * (x_hat + error)).sum(axis=0)
    gamma_error += (delta * error).sum(axis=0)
    beta_error = channels.sum_unit * beta_sum
    terms, largest_term, sums = delta, delta, np.zeros_like(delta)
    tolerance = np.zeros_like(delta)
    if is_batch:
        mean_path, variance_path = np.abs(beta_delta) / n, x_hat * np.abs(gamma_delta) / n
        terms = delta + mean_path + variance_path
        largest_term = np.maximum(delta, np.maximum(mean_path, variance_path))
        sums = beta_sum + x_hat * gamma_sum
        tolerance += (beta_error + (x_hat + error) * gamma_error + error * np.abs(gamma_delta)) / n
    tolerance += (9 * u + channels.inverse_error) * terms
    storage = case.data.ulp(np.abs(input_delta) + case.data.ulp(input_delta))
    bound = limits.element_bound(9 if is_batch else 3, scale * largest_term)
    bound = bound + limits.sum_error * scale * sums / n + storage / 2
    every_element = np.ones_like(delta, bool)
    every_sum = np.abs(doubles(channels.delta_of_all)).sum(axis=0)
    every_beta_delta = channels.sum(channels.delta_of_all)
    outputs = {
        "input_delta": finished(
            *(channels, "input_delta", channels.input_delta),
            (bound, scale * tolerance + storage),
            *(scale * terms, every_element),
        ),
        "gamma_delta": finished(
            *(channels, "gamma_delta", channels.gamma_delta),
            (
                limits.channel_bound(gamma_delta, gamma_sum),
                gamma_error + case.vector.ulp(gamma_sum),
            ),
            *(gamma_sum, np.asarray(channels.x_is_finite.all(axis=0) | (case.where is not None))),
        ),
        "beta_delta": finished(
            *(channels, "beta_delta", every_beta_delta),
            (
                limits.channel_bound(doubles(every_beta_delta), every_sum),
                channels.sum_unit * every_sum + case.vector.ulp(every_sum),
            ),
            *(every_sum, np.ones(case.channels, bool)),
        ),
    }
    if "residual" in case.inputs:
        exact = np.zeros_like(delta)
        outputs["residual_delta"] = finished(
            *(channels, "residual_delta", channels.delta),
            *((exact, exact), delta, every_element),
        )
    return outputs


def finished(
    channels: Channels,
    name: str,
    values: Rationals,
    limits: tuple[Float64Array, Float64Array],
    magnitude: Float64Array,
    is_right: npt.NDArray[np.bool_],
) -> Expected:
    """Put an output together: of all channels, in its own shape.

    limits: bound and tolerance. is_right: which of the values are those of the definition; the
    others are NaN, as those of channels are that are left out.
    """
    case = channels.case
    to = case.format_of(name)
    pairs = [high_and_low(value) for value in values.flat]
    high, low = (np.array([pair[i] for pair in pairs], np.float64) for i in (0, 1))
    rounded = np.array([nearest(value, to) for value in values.flat], np.float64)
    bound, tolerance = (np.broadcast_to(limit, values.shape) for limit in limits)
    parts = (rounded, high, low, bound, np.maximum(bound, tolerance), magnitude)
    is_finite = np.ones(case.channels, bool) if name == "beta_delta" else channels.finite
    arrays = []
    for number, part in enumerate(parts):
        missing = np.nan if number < 2 else 0.0
        whole = np.full((*values.shape[:-1], case.channels), missing)
        shaped = np.broadcast_to(part.reshape(values.shape), values.shape)
        whole[..., is_finite] = np.where(is_right, shaped, missing)
        arrays.append(case.array(whole) if values.ndim == 2 else whole)
    return Expected(to, *arrays)
