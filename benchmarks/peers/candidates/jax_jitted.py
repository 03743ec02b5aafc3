"""The closed form in JAX, compiled; sums and products in float, as for 16-bit data in Flax."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..case_data import EPSILON, Array, CaseData
from ..cases import FORWARD, Case
from .candidate import Call, Candidate


def forward(x: Any, gamma: Any, beta: Any, *, channel_axis: int) -> Any:
    """(normalized, mean, variance)."""
    axes, column = _axes_and_column(x, channel_axis)
    x_float = x.astype(jnp.float32)
    mean = x_float.mean(axes)
    variance = jnp.square(x_float - mean[column]).mean(axes)
    scale = gamma / jnp.sqrt(variance + EPSILON)
    normalized = (x_float - mean[column]) * scale[column] + beta[column]
    return normalized.astype(x.dtype), mean, variance


def backward(x: Any, gamma: Any, mean: Any, variance: Any, delta: Any, *, channel_axis: int) -> Any:
    """(input_delta, gamma_delta, beta_delta)."""
    axes, column = _axes_and_column(x, channel_axis)
    count = x.size // x.shape[channel_axis]
    inverse = 1 / jnp.sqrt(variance + EPSILON)
    delta_float = delta.astype(jnp.float32)
    standardized = (x.astype(jnp.float32) - mean[column]) * inverse[column]
    beta_delta = delta_float.sum(axes)
    gamma_delta = (delta_float * standardized).sum(axes)
    correction = (beta_delta[column] + standardized * gamma_delta[column]) / count
    input_delta = (gamma * inverse)[column] * (delta_float - correction)
    return input_delta.astype(x.dtype), gamma_delta, beta_delta


def _axes_and_column(x: Any, channel_axis: int) -> tuple[tuple[int, ...], Any]:
    axes = tuple(axis for axis in range(x.ndim) if axis != channel_axis)
    return axes, (slice(None), *(np.newaxis for _ in range(channel_axis + 1, x.ndim)))


def _finish(function: Any, *arguments: Any) -> Any:
    return jax.block_until_ready(function(*arguments))


class JaxJitted(Candidate):
    """JAX takes as many threads as there are processors: the process is allowed no more."""

    def version(self) -> str:
        return str(jax.__version__)

    def calls(self, case: Case, data: CaseData) -> Sequence[Call]:
        vectors = (data.gamma, data.beta, data.mean, data.variance)
        gamma, beta, mean, variance = (jax.device_put(vector) for vector in vectors)
        inputs = [jax.device_put(x) for x in data.inputs]
        formula = forward if case.op == FORWARD else backward
        function = jax.jit(partial(formula, channel_axis=data.channel_axis))
        if case.op == FORWARD:
            return [partial(_finish, function, x, gamma, beta) for x in inputs]
        deltas = [jax.device_put(delta) for delta in data.deltas]
        return [
            partial(_finish, function, x, gamma, mean, variance, delta)
            for x, delta in zip(inputs, deltas, strict=True)
        ]

    def outputs(self, case: Case, result: Any) -> Sequence[Array]:
        return tuple(np.asarray(array) for array in result[: 1 if case.op == FORWARD else 3])
