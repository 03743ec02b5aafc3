"""The example as the caller gives it, checked, and the cases that are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.definition import Float64Array

from .cases import SMALLEST_NORMAL, Case, Model, Terms
from .values import UnreadableError, described, is_finite, real_array, to_float64

Statistics = tuple[Float64Array, Float64Array]
Indices = Sequence[npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Example:
    """The arguments of `verify` that are arrays: x in its own type, the rest in float64.

    x can be large, and is not copied. gamma and beta, None if they are random, and the statistics,
    None in training, have the shape (C,). vector_shape: the shape in which the functions take them.
    """

    x: npt.NDArray[Any]
    vectors: tuple[Float64Array, Float64Array] | None
    statistics: Statistics | None
    axis: int
    vector_shape: tuple[int, ...]
    seed: int

    def case(self, indices: Indices | None = None) -> Case:
        """Return it as a case; of a sample, with these indices of each axis."""
        name, x, channels = "example", self.x, np.arange(self.x.shape[self.axis])
        if indices is not None:
            name, x, channels = "sample", self.x[np.ix_(*indices)], indices[self.axis]
        count = len(channels)
        generator = np.random.default_rng([self.seed, 0])
        gamma = generator.uniform(0.5, 1.5, size=count)
        beta = generator.normal(size=count)
        delta = 0.5 + generator.normal(size=x.shape)
        if self.vectors is not None:
            gamma, beta = (vector[channels] for vector in self.vectors)
        along = tuple(count if i == self.axis else 1 for i in range(x.ndim))
        vector_shape = (count,) if len(self.vector_shape) == 1 else along
        named = f"{name} {x.shape}"
        statistics = self.statistics
        if statistics is not None:
            statistics = (statistics[0][channels], statistics[1][channels])
        return Case(named, to_float64(x), gamma, beta, delta, self.axis, vector_shape, statistics)

    def model(self, epsilon: float, unbiased: bool, indices: Indices | None = None) -> Model:
        """Return what forward is meant to compute, on the channels of the case of these indices."""
        statistics = self.statistics
        if statistics is not None and indices is not None:
            mean, variance = statistics
            statistics = (mean[indices[self.axis]], variance[indices[self.axis]])
        return Model(epsilon, unbiased, statistics)


def with_statistics_of_its_own(given: Example) -> Example:
    """Return the example with statistics that are near its own, for a forward that is given some.

    They differ from them: a backward that takes them for the batch's would else be right.
    """
    others = tuple(axis for axis in range(given.x.ndim) if axis != given.axis)
    mean = given.x.mean(axis=others, dtype=np.float64)
    variance = given.x.var(axis=others, dtype=np.float64)
    variance = np.where(variance > 0, variance, 1.0)
    generator = np.random.default_rng([given.seed, 6])
    count = len(mean)
    mean = mean + np.sqrt(variance) * generator.uniform(0.1, 0.4, size=count)
    return replace(given, statistics=(mean, variance * generator.uniform(1.2, 1.8, size=count)))


def checked_example(example: Any, statistics: Any, channel_axis: int, seed: int) -> Example:
    """Check the arguments that are arrays; raise TypeError or ValueError that names one."""
    if isinstance(example, tuple) and len(example) != 3:
        raise ValueError(f"example: expected x or (x, gamma, beta), got {len(example)} values")
    value, *vectors = example if isinstance(example, tuple) else (example,)
    x = finite_array("example: x", value)
    if x.ndim < 2:
        raise ValueError(f"example: x: expected rank 2 or higher, got shape {x.shape}")
    if x.size == 0:
        raise ValueError(f"example: x: expected at least one element, got shape {x.shape}")
    if not -x.ndim <= channel_axis < x.ndim:
        raise ValueError(
            f"channel_axis: expected an axis of x, from {-x.ndim} to {x.ndim - 1}, "
            f"got {channel_axis}"
        )
    axis = channel_axis % x.ndim
    channels = x.shape[axis]
    vector_shape: tuple[int, ...] = (channels,)
    given = None
    if vectors:
        gamma, beta = checked_vectors(vectors, x.shape, axis)
        vector_shape, given = gamma.shape, (gamma.reshape(-1), beta.reshape(-1))
    constants = checked_statistics(statistics, channels)
    return Example(x, given, constants, axis, vector_shape, seed)


def checked_vectors(
    vectors: Sequence[Any], shape: tuple[int, ...], axis: int
) -> tuple[Float64Array, Float64Array]:
    """Return gamma and beta as they came."""
    channels = shape[axis]
    along = tuple(channels if i == axis else 1 for i in range(len(shape)))
    gamma, beta = (
        to_float64(finite_array(f"example: {name}", value))
        for name, value in zip(("gamma", "beta"), vectors, strict=True)
    )
    for name, array in (("gamma", gamma), ("beta", beta)):
        if array.shape not in ((channels,), along) or array.shape != gamma.shape:
            raise ValueError(
                f"example: {name}: expected shape {(channels,)} or {along}, as axis {axis} of "
                f"x is the channel axis, and the same for gamma and beta, got {array.shape}"
            )
    return gamma, beta


def checked_statistics(statistics: Any, channels: int) -> Statistics | None:
    """Return the pair as arrays of shape (C,)."""
    if statistics is None:
        return None
    is_pair = isinstance(statistics, (tuple, list)) or (
        isinstance(statistics, np.ndarray) and statistics.ndim > 1
    )
    if not is_pair or len(statistics) != 2:
        raise TypeError(
            f"statistics: expected a pair (mean, variance) or None, got {described(statistics)}"
        )
    mean, variance = (
        to_float64(finite_array(f"statistics: {name}", value))
        for name, value in zip(("mean", "variance"), statistics, strict=True)
    )
    for name, array in (("mean", mean), ("variance", variance)):
        if array.size != channels:
            raise ValueError(f"statistics: {name}: expected shape {(channels,)}, got {array.shape}")
    if (variance < 0).any():
        raise ValueError(f"statistics: variance: expected numbers >= 0, got {variance.min():g}")
    return mean.reshape(-1), variance.reshape(-1)


def finite_array(name: str, value: Any) -> npt.NDArray[Any]:
    """Return an argument that is an array; raise TypeError or ValueError naming it for others."""
    try:
        array = real_array(value)
    except UnreadableError as error:
        raise TypeError(f"{name}: expected an array of real numbers, got {error}") from error
    if not is_finite(array):
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    if array.dtype.itemsize > 8 and not is_finite(to_float64(array)):
        raise ValueError(f"{name}: expected numbers that float64 can hold, got larger ones")
    return array


def obstacle(case: Case, model: Model) -> str | None:
    """Say why the definition has no gradient here that float64 can hold; None if it has one."""
    if model.unbiased and case.n < 2:
        return "x: expected two elements in each channel for unbiased, got 1"
    terms = Terms(case, model)
    largest = np.abs(terms.x).max(axis=0)
    try:
        variance = terms.variance
    except OverflowError:  # of the sum that the mean is made of
        variance = np.full_like(case.gamma, np.inf)
    infinite = np.flatnonzero(~np.isfinite(variance + model.epsilon))
    if len(infinite):
        return (
            "x: expected a variance that float64 can hold in each channel, got infinity in channel "
            f"{infinite[0]}, whose numbers reach {largest[infinite[0]]:.3g}"
        )
    # The rounding of smaller squares is more than a unit roundoff of the variance.
    small = np.flatnonzero(variance + model.epsilon < SMALLEST_NORMAL)
    if len(small):
        value = variance[small[0]] + model.epsilon
        least = f"{SMALLEST_NORMAL:.3g} or more" if value > 0 else "> 0"
        return (
            f"x: expected variance + epsilon {least} in each channel, got {value:g} in channel "
            f"{small[0]}"
        )
    try:
        values = {
            "y": terms.normalized + terms.noise,
            "input_delta": terms.input_delta,
            "gamma_delta": terms.gamma_delta[np.newaxis],
        }
    except OverflowError:
        values = {"gamma_delta": np.full((1, len(case.gamma)), np.inf)}
    for name, rows in values.items():
        infinite = np.flatnonzero(~np.isfinite(rows).all(axis=0))
        if len(infinite):
            return (
                f"expected numbers whose {name} float64 can hold, got infinity or NaN in channel "
                f"{infinite[0]}, with gamma {case.gamma[infinite[0]]:.3g} and beta "
                f"{case.beta[infinite[0]]:.3g}"
            )
    return None
