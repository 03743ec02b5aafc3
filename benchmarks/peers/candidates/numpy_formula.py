"""The closed form in numpy, as someone who cares for speed writes it: few temporary arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..case_data import EPSILON, Array, CaseData
from ..cases import FORWARD, Case
from .candidate import Call, Candidate, LeftOut


def forward(x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
    """`x` is (N, C, inner) or (rows, C); (normalized, mean, variance)."""
    axes, column = _axes_and_column(x)
    mean = x.mean(axis=axes)
    normalized = x - mean[column]
    variance = np.square(normalized).mean(axis=axes)
    normalized *= (gamma / np.sqrt(variance + EPSILON))[column]
    normalized += beta[column]
    return normalized, mean, variance


def backward(
    x: Array, gamma: Array, mean: Array, variance: Array, delta: Array
) -> tuple[Array, Array, Array]:
    """`x` and `delta` as in `forward`; (input_delta, gamma_delta, beta_delta)."""
    axes, column = _axes_and_column(x)
    count = x.size // x.shape[1]
    inverse = 1 / np.sqrt(variance + EPSILON)
    standardized = x - mean[column]
    standardized *= inverse[column]
    beta_delta = delta.sum(axis=axes)
    gamma_delta = (delta * standardized).sum(axis=axes)
    standardized *= (gamma_delta / count)[column]
    input_delta = np.subtract(delta, standardized, out=standardized)
    input_delta -= (beta_delta / count)[column]
    input_delta *= (gamma * inverse)[column]
    return input_delta, gamma_delta, beta_delta


def _axes_and_column(x: Array) -> tuple[tuple[int, ...], Any]:
    if x.ndim == 2:
        return (0,), slice(None)
    return (0, 2), (slice(None), np.newaxis)


class NumpyFormula(Candidate):
    """numpy computes on one thread, whatever the number of threads."""

    def version(self) -> str:
        return str(np.__version__)

    def calls(self, case: Case, data: CaseData) -> Sequence[Call]:
        if case.element_type != "f32":
            raise LeftOut(f"numpy has no arithmetic for {case.element_type}")
        batch, channels = case.shape.shape[:2]
        shape = (-1, channels) if case.channels_last else (batch, channels, -1)
        inputs = [x.reshape(shape) for x in data.inputs]
        if case.op == FORWARD:
            return [partial(forward, x, data.gamma, data.beta) for x in inputs]
        deltas = [delta.reshape(shape) for delta in data.deltas]
        return [
            partial(backward, x, data.gamma, data.mean, data.variance, delta)
            for x, delta in zip(inputs, deltas, strict=True)
        ]

    def outputs(self, case: Case, result: Any) -> Sequence[Array]:
        return result[:1] if case.op == FORWARD else tuple(result)
