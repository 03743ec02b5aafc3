"""Arguments for the kernels, easy and hard, each made from a description that can be printed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .real_types import REAL_TYPES, Array, RealType


class TrainingArguments(NamedTuple):
    input: Array
    gamma: Array | None
    beta: Array | None


class InferenceArguments(NamedTuple):
    input: Array
    gamma: Array | None
    beta: Array | None
    mean: Array
    variance: Array


class BackpropArguments(NamedTuple):
    input: Array
    gamma: Array | None
    beta: Array | None
    mean: Array
    variance: Array
    normalized_delta: Array


@dataclass(frozen=True)
class Difficulty:
    """How hard the numbers are: input = offset + deviation·noise, and so on.

    The offset is drawn per channel from ±[offset/2, offset]; deviation 0 is a constant channel.
    """

    name: str
    offset: float = 1.0
    deviation: float = 1.0
    delta_offset: float = 0.0
    delta_deviation: float = 1.0
    gamma: float = 1.0
    epsilon: float = 1e-5
    data_types: tuple[str, ...] = ("f16", "bf16", "f32", "f64")


STANDARD = Difficulty("standard")

DIFFICULTIES = (
    STANDARD,
    # The mean 1e7 standard deviations away; as far as the significand allows for 16 bits.
    Difficulty("far_mean", offset=1e7, data_types=("f32", "f64")),
    Difficulty("far_mean_of_16_bits", offset=100.0, data_types=("f16", "bf16")),
    Difficulty("small_spread", offset=1e3, deviation=0.1, data_types=("f32", "f64")),
    Difficulty("delta_near_one", delta_offset=1.0, delta_deviation=1e-3),
    Difficulty("constant_channels", offset=3.0, deviation=0.0),
    Difficulty("huge_input", offset=1e18, deviation=1e18, data_types=("f32", "f64")),
    # Squares of bf16 differences, 16 at a time, have to fit f32.
    Difficulty("huge_input_of_16_bits", offset=1e17, deviation=1e17, data_types=("bf16",)),
    Difficulty("large_input", offset=1e4, deviation=100.0, data_types=("f16",)),
    Difficulty("tiny_input", offset=1e-18, deviation=1e-18, data_types=("bf16", "f32", "f64")),
    Difficulty(
        "tiny_input_without_epsilon",
        offset=1e-18,
        deviation=1e-18,
        epsilon=0.0,
        data_types=("bf16", "f32", "f64"),
    ),
    Difficulty("denormal_input", offset=1e-6, deviation=1e-6, data_types=("f16",)),
    Difficulty("denormal_input", offset=1e-40, deviation=1e-40, data_types=("bf16", "f32")),
    Difficulty("tiny_delta", delta_deviation=1e-6),
    Difficulty("large_gamma", gamma=1e6, data_types=("bf16", "f32", "f64")),
    Difficulty("large_epsilon", epsilon=1e3),
)


@dataclass(frozen=True)
class Sample:
    """A reproducible problem; its text is what a failing test prints."""

    shape: tuple[int, ...]
    data_type: str = "f32"
    channel_type: str = "f32"
    channel_axis: int = 1
    difficulty: Difficulty = STANDARD
    seed: int = 1
    #: Of mean and variance; channel_type, that of gamma and beta, if it is empty.
    statistics_type: str = ""

    def __str__(self) -> str:
        lengths = "x".join(map(str, self.shape))
        what = f"axis{self.channel_axis}-{self.types}-{self.difficulty.name}-seed{self.seed}"
        return f"{lengths}-{what}"

    @property
    def types(self) -> str:
        return "-".join(filter(None, (self.data_type, self.channel_type, self.statistics_type)))

    @property
    def channels(self) -> int:
        return self.shape[self.channel_axis]

    @property
    def epsilon(self) -> float:
        return self.difficulty.epsilon

    @property
    def data(self) -> RealType:
        return REAL_TYPES[self.data_type]

    @property
    def vector(self) -> RealType:
        """The type of gamma and beta."""
        return REAL_TYPES[self.channel_type]

    @property
    def statistics(self) -> RealType:
        """The type of mean and variance."""
        return REAL_TYPES[self.statistics_type or self.channel_type]

    @property
    def training_options(self) -> dict[str, Any]:
        """The options of an op that puts out statistics."""
        return {**self.options, "statistics_type": self.statistics.name}

    def _random(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, *self.shape])

    def _per_channel(self, vector: Array) -> Array:
        shape = [1] * len(self.shape)
        shape[self.channel_axis] = self.channels
        return vector.reshape(shape)

    def _input(self, random: np.random.Generator) -> Array:
        difficulty = self.difficulty
        offsets = random.uniform(0.5, 1.0, self.channels) * random.choice([-1, 1], self.channels)
        noise = random.standard_normal(self.shape) * difficulty.deviation
        values = self._per_channel(offsets * difficulty.offset) + noise
        return np.asarray(values.astype(self.data.dtype))

    def _gamma_and_beta(self, random: np.random.Generator) -> tuple[Array, Array]:
        gamma = random.uniform(-2.0, 2.0, self.channels) * self.difficulty.gamma
        beta = random.standard_normal(self.channels)
        return gamma.astype(self.vector.dtype), beta.astype(self.vector.dtype)

    def training(self) -> TrainingArguments:
        random = self._random()
        return TrainingArguments(self._input(random), *self._gamma_and_beta(random))

    def backprop(self) -> BackpropArguments:
        """Statistics are those of the input, computed in double and rounded to their type."""
        random = self._random()
        input = self._input(random)
        gamma, beta = self._gamma_and_beta(random)
        values = np.moveaxis(input.astype(np.float64), self.channel_axis, 0)
        rows = values.reshape(self.channels, -1)
        mean = rows.mean(axis=1) if rows.size else np.zeros(self.channels)
        variance = rows.var(axis=1) if rows.size else np.ones(self.channels)
        difficulty = self.difficulty
        noise = random.standard_normal(self.shape) * difficulty.delta_deviation
        return BackpropArguments(
            input,
            gamma,
            beta,
            mean.astype(self.statistics.dtype),
            variance.astype(self.statistics.dtype),
            (difficulty.delta_offset + noise).astype(self.data.dtype),
        )

    def inference(self) -> InferenceArguments:
        """Statistics near the input's, but not its own."""
        input, gamma, beta, mean, variance, _ = self.backprop()
        return InferenceArguments(
            input,
            gamma,
            beta,
            (mean.astype(np.float64) * 0.99).astype(self.statistics.dtype),
            (variance.astype(np.float64) * 1.5).astype(self.statistics.dtype),
        )

    def cancelling(self) -> BackpropArguments:
        """Sums of which nothing is left but their rounding errors, so that their order shows.

        In double, another order of the same f32 or bf16 terms gives the same result once it is
        rounded to f32. Here the terms come in pairs of opposite sign, at random places and over 60
        binary orders of magnitude: what the sum is off by is all that there is of it. (Sums of f16
        deltas are exact in any order; their products with the input are not.)
        """
        random = self._random()
        largest_exponent = 12 if self.data_type == "f16" else 30
        count = self.elements_per_channel
        delta, input = np.zeros((2, self.channels, count))
        for channel in range(self.channels):
            # The first element, which shifts the sums of training, stays zero.
            places = 1 + random.permutation(count - 1)
            pairs = (count - 1) // 2
            for rows in (delta, input):
                # Not exp2, whose last bit depends on the machine.
                exponents = random.integers(-largest_exponent, largest_exponent, pairs)
                sizes = np.ldexp(random.uniform(1, 2, pairs), exponents)
                values = (sizes * random.choice([-1, 1], pairs)).astype(self.data.dtype)
                sign = -1 if rows is delta else 1
                rows[channel, places[:pairs]] = values
                rows[channel, places[pairs : 2 * pairs]] = sign * values.astype(np.float64)
        moved = [length for axis, length in enumerate(self.shape) if axis != self._axis]
        input, delta = (
            np.moveaxis(rows.reshape(self.channels, *moved), 0, self._axis)
            .astype(self.data.dtype)
            .copy()
            for rows in (input, delta)
        )
        one = np.ones(self.channels, self.vector.dtype)
        return BackpropArguments(input, one, one, np.zeros_like(one), one, delta)

    @property
    def _axis(self) -> int:
        return self.channel_axis % len(self.shape)

    @property
    def options(self) -> dict[str, Any]:
        return {"epsilon": self.epsilon, "channel_axis": self.channel_axis}

    @property
    def elements_per_channel(self) -> int:
        return math.prod(self.shape) // self.channels
