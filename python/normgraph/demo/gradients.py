"""The numbers of the demo: what the kernels' outputs differ from independent computations by."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import normgraph as ng
from normgraph import definition
from normgraph.definition import Float64Array
from normgraph.demo.network import Float32Array

EPSILON = 1e-5


class GradientErrors(NamedTuple):
    """One gradient's largest magnitude, and its largest errors by two independent computations."""

    name: str
    magnitude: float
    against_differences: float
    against_closed_form: float


class ActivationReport(NamedTuple):
    """Largest |mean|, range of the variance, before and after; the kernels' largest errors."""

    mean_before: float
    variance_before: tuple[float, float]
    mean_after: float
    variance_after: tuple[float, float]
    forward_error: float
    backward_error: float


def measure_activations(activations: Float32Array, seed: int) -> ActivationReport:
    """Run both kernels on activations (n, C) in float32; compare with the definition in float64."""
    channels = activations.shape[1]
    gamma, beta = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    delta = np.random.default_rng([seed, 3]).normal(size=activations.shape).astype(np.float32)
    forward = ng.batch_norm_training(activations, gamma, beta, epsilon=EPSILON)
    backward = ng.batch_norm_training_backprop(
        activations, gamma, beta, forward.mean, forward.variance, delta, epsilon=EPSILON
    )
    x, gamma64, beta64, delta64 = (a.astype(np.float64) for a in (activations, gamma, beta, delta))
    expected, _, _ = definition.training(x, gamma64, beta64, EPSILON)
    statistics = (forward.mean.astype(np.float64), forward.variance.astype(np.float64))
    expected_delta, _, _ = definition.training_backprop(x, gamma64, *statistics, delta64, EPSILON)
    normalized = forward.normalized.astype(np.float64)
    return ActivationReport(
        largest(forward.mean),
        extremes(forward.variance),
        largest(normalized.mean(axis=0)),
        extremes(normalized.var(axis=0)),
        largest(normalized - expected),
        largest(backward.input_delta - expected_delta),
    )


def measure_gradients(activations: Float32Array, seed: int) -> list[GradientErrors]:
    """Check the backward kernel in float64 on activations (n, C), all else being random."""
    generator = np.random.default_rng([seed, 4])
    x = activations.astype(np.float64)
    channels = (x.shape[1],)
    gamma, beta = generator.normal(1, 0.3, size=channels), generator.normal(size=channels)
    delta = generator.normal(size=x.shape)

    def normalize(x: Float64Array, gamma: Float64Array, beta: Float64Array) -> Any:
        return ng.batch_norm_training(x, gamma, beta, epsilon=EPSILON).normalized

    forward = ng.batch_norm_training(x, gamma, beta, epsilon=EPSILON)
    backward = ng.batch_norm_training_backprop(
        x, gamma, beta, forward.mean, forward.variance, delta, epsilon=EPSILON
    )
    closed_form = definition.training_backprop(
        x, gamma, forward.mean, forward.variance, delta, EPSILON
    )
    step = 1e-5 * float(x.std())
    differences = definition.gradients_by_differences(normalize, x, gamma, beta, delta, step)
    return [
        GradientErrors(name, largest(exact), largest(actual - difference), largest(actual - exact))
        for name, actual, difference, exact in zip(
            backward._fields, backward, differences, closed_form, strict=True
        )
    ]


def largest(values: Float64Array | Float32Array) -> float:
    """Return the largest magnitude."""
    return float(np.abs(values).max())


def extremes(values: Float64Array | Float32Array) -> tuple[float, float]:
    """Return (smallest, largest)."""
    return float(values.min()), float(values.max())
