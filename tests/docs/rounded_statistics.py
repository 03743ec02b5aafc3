"""The cost of rounding mean and variance to f32 between forward and backward: the docs' table.

The truth is the definition in float64 (`normgraph.definition`) with unrounded statistics. Errors of
input_delta are in units of its largest element, errors of gamma_delta in units of Σ|δ·x̂|, and each
is the largest over the channels: where between two f32 numbers a mean falls is chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import normgraph as ng
from normgraph import definition

ELEMENTS, CHANNELS = 4096, 64
EPSILON = 1e-5

#: (mean, standard deviation) of the data, the rows of the table.
DATA = [(0.0, 1.0), (1.0, 1.0), (10.0, 1.0), (1e3, 1.0), (1e3, 0.1), (1e4, 0.1)]


@dataclass(frozen=True)
class Cost:
    """One row: what rounding the statistics costs, and what the kernel adds to it."""

    mean: float
    deviation: float
    input_delta: float
    gamma_delta: float
    kernel_input_delta: float
    kernel_gamma_delta: float


def measure(mean: float, deviation: float) -> Cost:
    """f32 data; δ has mean 1 and standard deviation 1."""
    generator = np.random.default_rng(1502)
    shape = (ELEMENTS, CHANNELS)
    x = (mean + deviation * generator.normal(size=shape)).astype(np.float32)
    delta = (1 + generator.normal(size=shape)).astype(np.float32)
    gamma, beta = np.ones(CHANNELS, np.float32), np.zeros(CHANNELS, np.float32)

    x64, delta64, gamma64, beta64 = (a.astype(np.float64) for a in (x, delta, gamma, beta))
    _, exact_mean, exact_variance = definition.training(x64, gamma64, beta64, EPSILON)
    inverse = definition.inverse_deviation(exact_variance, EPSILON)
    terms = np.abs(delta64 * (x64 - exact_mean) * inverse).sum(axis=0)
    forward = ng.batch_norm_training(x, gamma, beta, EPSILON)
    rounded = (forward.mean.astype(np.float64), forward.variance.astype(np.float64))

    exact = definition.training_backprop(x64, gamma64, exact_mean, exact_variance, delta64, EPSILON)
    with_rounded = definition.training_backprop(x64, gamma64, *rounded, delta64, EPSILON)
    kernel = ng.batch_norm_training_backprop(
        x, gamma, beta, forward.mean, forward.variance, delta, EPSILON
    )
    scale = np.abs(exact[0]).max(axis=0)
    return Cost(
        mean,
        deviation,
        largest((with_rounded[0] - exact[0]) / scale),
        largest((with_rounded[1] - exact[1]) / terms),
        largest((kernel.input_delta - with_rounded[0]) / scale),
        largest((kernel.gamma_delta - with_rounded[1]) / terms),
    )


def largest(values: npt.NDArray[np.float64]) -> float:
    """The largest magnitude."""
    return float(np.abs(values).max())


def table_rows() -> list[str]:
    """The rows as they stand in docs/numerics.md."""
    rows = []
    for mean, deviation in DATA:
        cost = measure(mean, deviation)
        errors = (
            cost.input_delta,
            cost.gamma_delta,
            cost.kernel_input_delta,
            cost.kernel_gamma_delta,
        )
        cells = [f"{mean:g} ± {deviation:g}", *(f"{error:.0e}" for error in errors)]
        rows.append(f"| {' | '.join(cells)} |")
    return rows
