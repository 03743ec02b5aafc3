"""Arrays to try the functions on, and the terms that the right gradient consists of."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from normgraph import definition
from normgraph.definition import Float64Array

#: Lengths of the probe's axes other than the channel axis: different primes, so that no sum over
#: the wrong axes has the right shape or the right number of elements. With two axes n is 7, where
#: n/(n-1) is 1.17.
PROBE_LENGTHS = {2: (7,), 3: (3, 5), 4: (3, 5, 7), 5: (3, 5, 7, 2)}
PROBE_CHANNELS = 4

#: Where a sum over the wrong axes has a shape that does not fit, it shows on equal lengths what it
#: computes.
EQUAL_LENGTHS = {2: 5, 3: 4}

#: The deviation of the probe in units of sqrt(epsilon): epsilon is then a few percent of the
#: variance, so that leaving it out shows.
DEVIATION = 5.0

#: An example of more elements is sampled, and a probe has no more: it takes the definition and a
#: hundred calls of the functions a few seconds.
LARGEST = 2**16

#: Elements that a sample has of each channel, if the example has as many, before channels are
#: left out.
SAMPLED_PER_CHANNEL = 64

SMALLEST_NORMAL = float(np.finfo(np.float64).smallest_normal)


@dataclass(frozen=True)
class Case:
    """Arrays to call the functions with, all float64.

    x and delta have one shape, with the channel axis at `axis` (not negative); gamma and beta have
    the shape (C,). vector_shape is the shape in which the functions take and return vectors.

    statistics: the mean and variance that forward is given, of shape (C,). running: the running
    mean and variance before the call, of shape (C,); None for those of `running_start`.
    """

    name: str
    x: Float64Array
    gamma: Float64Array
    beta: Float64Array
    delta: Float64Array
    axis: int
    vector_shape: tuple[int, ...]
    statistics: tuple[Float64Array, Float64Array] | None = None
    running: tuple[Float64Array, Float64Array] | None = None

    @property
    def n(self) -> int:
        """The number of elements in each channel."""
        return self.x.size // len(self.gamma)

    def with_vector(self, name: str, vector: Float64Array) -> Case:
        """Return the case with another gamma or beta."""
        return replace(self, gamma=vector) if name == "gamma" else replace(self, beta=vector)

    def rows(self, array: Float64Array) -> Float64Array:
        """(…, C, …) -> (n, C)."""
        return definition.rows(array, self.axis)

    def array(self, rows: Float64Array) -> Float64Array:
        """(n, C) -> the shape of x."""
        channels_last = np.moveaxis(self.x, self.axis, -1).shape
        return np.moveaxis(rows.reshape(channels_last), -1, self.axis)

    def spread(self, vector: Float64Array) -> Float64Array:
        """(C,) -> a shape that broadcasts along the channel axis of x."""
        shape = [1] * self.x.ndim
        shape[self.axis] = -1
        return vector.reshape(shape)


@dataclass(frozen=True)
class Model:
    """The function of a forward pass: batch normalization with these properties.

    unbiased: the variance is divided by n - 1. statistics: constants (mean, variance) of shape
    (C,) that take the place of the batch's.
    """

    epsilon: float
    unbiased: bool = False
    statistics: tuple[Float64Array, Float64Array] | None = None


@dataclass(frozen=True)
class Terms:
    """A case's values under a model, each channel in a column, and the terms of its gradient.

    With inv = 1/sqrt(variance + epsilon), x_hat = (x - mean)*inv and d = n, or n - 1 for the
    unbiased variance, of a batch's statistics
    input_delta = delta_term + mean_path + variance_path
                = gamma*inv*delta - gamma*inv*sum(delta)/n - gamma*inv*x_hat*sum(delta*x_hat)/d,
    and of constant statistics it is delta_term alone.

    smallest: the smallest normal number of the type that the functions compute in; a rounding of
    what is smaller is off by a unit roundoff of it.
    """

    case: Case
    model: Model
    smallest: float = SMALLEST_NORMAL

    @cached_property
    def x(self) -> Float64Array:
        return self.case.rows(self.case.x)

    @cached_property
    def delta(self) -> Float64Array:
        return self.case.rows(self.case.delta)

    @property
    def n(self) -> int:
        return self.case.n

    @property
    def divisor(self) -> int:
        """The number that the sum of squares is divided by."""
        return max(self.n - self.model.unbiased, 1)

    @cached_property
    def mean(self) -> Float64Array:
        if self.model.statistics is not None:
            return self.model.statistics[0]
        return definition.channel_sums(self.x) / self.n

    @cached_property
    def centered(self) -> Float64Array:
        return self.x - self.mean

    @cached_property
    def variance(self) -> Float64Array:
        if self.model.statistics is not None:
            return self.model.statistics[1]
        return definition.channel_sums(self.centered**2) / self.divisor

    @cached_property
    def inv(self) -> Float64Array:
        return definition.inverse_deviation(self.variance, self.model.epsilon)

    @cached_property
    def x_hat(self) -> Float64Array:
        return self.centered * self.inv

    @cached_property
    def normalized(self) -> Float64Array:
        statistics = (self.mean, self.variance)
        return definition.inference(
            self.x, self.case.gamma, self.case.beta, *statistics, self.model.epsilon
        )

    @cached_property
    def beta_delta(self) -> Float64Array:
        return definition.channel_sums(self.delta)

    @cached_property
    def gamma_delta(self) -> Float64Array:
        return definition.channel_sums(self.delta * self.x_hat)

    @property
    def delta_term(self) -> Float64Array:
        return self.case.gamma * self.inv * self.delta

    @property
    def mean_coefficient(self) -> Float64Array:
        """(C,): the mean path, the same for each element of a channel."""
        return -self.case.gamma * self.inv * self.beta_delta / self.n

    @property
    def variance_coefficient(self) -> Float64Array:
        """(C,): what x_hat is multiplied by in the variance path."""
        return -self.case.gamma * self.inv * self.gamma_delta / self.divisor

    @cached_property
    def input_delta(self) -> Float64Array:
        if self.model.statistics is not None:
            return self.delta_term
        return self.delta_term + self.mean_coefficient + self.x_hat * self.variance_coefficient

    def expected(self, output: str) -> Float64Array:
        """Return an output in the shape that the functions give it."""
        values: Float64Array = getattr(self, output)
        if values.ndim == 2:
            return self.case.array(values)
        return values.reshape(self.case.vector_shape)

    @property
    def x_hat_magnitude(self) -> Float64Array:
        """|x_hat|, or what the rounding of x and the mean may leave of it where that is more.

        That is a unit of x*inv in `rounding`'s 64, and shows in channels that are constant or whose
        numbers are subnormal.
        """
        return np.maximum(np.abs(self.x_hat), self.x_size * self.inv / 64)

    @property
    def x_size(self) -> Float64Array:
        """|x|, or what the rounding of x is a unit roundoff of where that is more."""
        return np.maximum(np.abs(self.x), self.smallest)

    @cached_property
    def noise(self) -> Float64Array:
        """(C,): the sum over a channel of |delta| times what the roundings of y are units of.

        These are gamma*x_hat, gamma*inv*x (the rounding of x - mean, and that of x where forward
        narrows it) and beta. Of tiny x, beta is by far the largest.
        """
        size = np.abs(self.case.gamma) * (np.abs(self.x_hat) + self.x_size * self.inv)
        return np.asarray((np.abs(self.delta) * (size + np.abs(self.case.beta))).sum(axis=0))

    def magnitude(self, output: str) -> Float64Array:
        """(C,): the largest term that each channel's values of an output are sums of."""
        case, delta = self.case, np.abs(self.delta)
        values: dict[str, Float64Array] = {
            "normalized": np.abs(case.gamma) * self.x_hat_magnitude + np.abs(case.beta),
            "input_delta": np.abs(case.gamma) * self.inv * delta,
        }
        if output in values:
            largest: Float64Array = values[output].max(axis=0)
        else:
            summands = delta * self.x_hat_magnitude if output == "gamma_delta" else delta
            largest = definition.channel_sums(summands)
        return np.maximum(largest, self.smallest)

    def rounding(self, unit: float) -> float:
        """Bound of the relative error that right code with this unit roundoff may make.

        A sum of n terms, added in any order, is off by n units of its |terms|; a value goes
        through at most 64 operations. Where the variance is found as the difference of mean
        squares, (mean*inv)**2 of these units are left in it.
        """
        cancellation = np.max(np.abs(self.mean) * self.inv, initial=0.0)
        return float(64 * self.n * unit * (1 + cancellation**2))


def probe(
    shape: tuple[int, ...],
    axis: int,
    model: Model,
    vector_shape: tuple[int, ...],
    generator: np.random.Generator,
) -> Case:
    """Return a case on which mistakes show.

    Means are 1 to 3 deviations away from 0, epsilon is a few percent of the variance (if it is
    neither 0 nor the statistics are given), gamma differs from channel to channel and may be
    negative, and delta has a part of 1 and a part of x of 0.5 or more, so that no term of the
    gradient is small.
    """
    channels = (shape[axis],)
    rows = (math.prod(shape) // shape[axis], shape[axis])
    signs = np.where(np.arange(shape[axis]) % 3 == 1, -1.0, 1.0)
    z = generator.normal(size=rows)
    # Squares of what is smaller, or larger, are not in float64's range.
    is_usual = 1e-290 < model.epsilon < 1e290
    scale = DEVIATION * math.sqrt(model.epsilon) if is_usual else 1.0
    deviations = scale * generator.uniform(0.6, 1.6, size=channels)
    x = deviations * (generator.uniform(1.0, 3.0, size=channels) + z)
    if model.statistics is not None:
        mean, variance = model.statistics
        x = mean + np.sqrt(variance + model.epsilon) * (generator.uniform(0.2, 0.6, channels) + z)
    gamma = signs * generator.uniform(0.5, 1.8, size=channels)
    shift, slope = (generator.uniform(0.5, 1.0, size=channels) for _ in range(2))
    standard = standardized(z)
    noise = standardized(generator.normal(size=rows))
    noise -= standard * (noise * standard).mean(axis=0)
    delta = noise + signs * shift + slope * standard
    beta = generator.normal(size=channels)
    empty = np.empty(shape)
    case = Case("probe", empty, gamma, beta, empty, axis, vector_shape, model.statistics)
    return replace(
        case,
        name=f"probe {shape}",
        x=np.ascontiguousarray(case.array(x)),
        delta=np.ascontiguousarray(case.array(delta)),
    )


def standardized(rows: Float64Array) -> Float64Array:
    """Return columns of mean 0 and deviation 1; a constant one becomes 0."""
    centered = rows - rows.mean(axis=0)
    deviation = centered.std(axis=0)
    result: Float64Array = centered / np.where(deviation > 0, deviation, 1.0)
    return result


def sampled_lengths(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Return lengths of LARGEST elements at most: the longest axis is halved again and again.

    Channels are kept as long as each has SAMPLED_PER_CHANNEL elements, since the functions may be
    written for their number.
    """
    lengths = list(shape)
    while math.prod(lengths) > LARGEST:
        others = [i for i, length in enumerate(lengths) if i != axis and length > 1]
        n = math.prod(lengths) // lengths[axis]
        if lengths[axis] > 1 and (n <= SAMPLED_PER_CHANNEL or not others):
            longest = axis
        else:
            longest = max(others, key=lengths.__getitem__)
        lengths[longest] = (lengths[longest] + 1) // 2
    return tuple(lengths)


def sampled_indices(
    shape: tuple[int, ...], lengths: tuple[int, ...], generator: np.random.Generator
) -> tuple[npt.NDArray[np.int64], ...]:
    """Return which indices of each axis are sampled, in order."""
    return tuple(
        np.sort(generator.choice(whole, size=length, replace=False))
        for whole, length in zip(shape, lengths, strict=True)
    )


@lru_cache
def running_start(channels: int) -> tuple[Float64Array, Float64Array]:
    """Return a running mean and variance to begin with, which nobody writes to."""
    return np.linspace(-0.5, 0.75, channels), np.linspace(0.6, 1.9, channels)


def probe_shape(rank: int, axis: int, channels: int) -> tuple[int, ...]:
    """Return lengths that differ from axis to axis."""
    lengths = [*PROBE_LENGTHS.get(rank, PROBE_LENGTHS[5]), *[1] * (rank - 5)]
    lengths.insert(axis, channels)
    return tuple(lengths)


def equal_shape(rank: int) -> tuple[int, ...]:
    """Return lengths that are all the same; two, from rank 8 on, to make no large array."""
    return (EQUAL_LENGTHS.get(rank, 3 if rank < 8 else 2),) * rank
