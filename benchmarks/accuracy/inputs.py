"""Easy and hard data, (N, C, height, width)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.kernel.real_types import REAL_TYPES, Array

SHAPE = (32, 2, 28, 28)
EPSILON = 1e-5
SEED = 1502

Shape = tuple[int, ...]
Draw = Callable[[np.random.Generator, Shape], npt.NDArray[np.float64]]


def normal(mean: float, deviation: float) -> Draw:
    """Values about `mean`."""
    return lambda generator, shape: mean + deviation * generator.normal(size=shape)


def with_an_outlier(first: float) -> Draw:
    """Standard normal values, but for the first one of each channel."""

    def draw(generator: np.random.Generator, shape: Shape) -> npt.NDArray[np.float64]:
        values = generator.normal(size=shape)
        values[0, :, 0, 0] = first
        return values

    return draw


STANDARD = normal(0, 1)


@dataclass(frozen=True)
class Data:
    """One row of the tables: how input and normalized_delta are drawn."""

    name: str
    input: Draw = STANDARD
    normalized_delta: Draw = STANDARD

    @property
    def is_about_normalized_delta(self) -> bool:
        """Whether the input is drawn as for another row."""
        return self.normalized_delta is not STANDARD


DATA = {
    "f32": (
        Data("standard normal"),
        Data("input 1000 ± 0.1", normal(1e3, 0.1)),
        Data("input 1e7 ± 1", normal(1e7, 1)),
        Data("δ 1 ± 0.001", STANDARD, normal(1, 1e-3)),
        Data("constant channels", normal(3.3, 0)),
        Data("input 1e18 · normal", normal(0, 1e18)),
        Data("first element 1e6", with_an_outlier(1e6)),
    ),
    # Numbers of 8 bits cannot be much closer together.
    "bf16": (
        Data("standard normal"),
        Data("input 100 ± 1", normal(100, 1)),
        Data("δ 1 ± 0.01", STANDARD, normal(1, 1e-2)),
        Data("constant channels", normal(3.3, 0)),
        Data("input 1e18 · normal", normal(0, 1e18)),
        Data("first element 1e6", with_an_outlier(1e6)),
    ),
}


@dataclass(frozen=True)
class Arrays:
    """The arguments of both ops but for the statistics; channel vectors are f32."""

    input: Array
    normalized_delta: Array
    gamma: Array
    beta: Array


def draw(data: Data, element_type: str, shape: Shape = SHAPE) -> Arrays:
    """Arrays that are the same in every run."""
    generator = np.random.default_rng(SEED)
    dtype = REAL_TYPES[element_type].dtype
    channels = shape[1]
    return Arrays(
        input=data.input(generator, shape).astype(dtype),
        normalized_delta=data.normalized_delta(generator, shape).astype(dtype),
        gamma=generator.uniform(0.5, 1.5, channels).astype(np.float32),
        beta=generator.normal(size=channels).astype(np.float32),
    )
