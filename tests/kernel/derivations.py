"""The gradients by other roads than the kernels': stage by stage, and in closed form.

All in double with numpy, for inputs of the form (channels, elements per channel) and the batch's
own statistics.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .real_types import Array


class Gradients(NamedTuple):
    input_delta: Array
    gamma_delta: Array
    beta_delta: Array


def _sum(rows: Array) -> Array:
    return np.asarray(rows.sum(axis=1, keepdims=True))


def staged_gradients(x: Array, gamma: Array, delta: Array, epsilon: float) -> Gradients:
    """Reverse through the stages mean, centered, square, variance, invsqrt, gmul, normed.

    Every stage passes back the derivative of its own operation; where a value feeds two stages,
    what they pass back is added. gamma has the shape (channels, 1).
    """
    count = x.shape[1]
    mean = _sum(x) / count
    centered = x - mean
    square = centered * centered
    variance = _sum(square) / count
    invsqrt = 1 / np.sqrt(variance + epsilon)
    gmul = gamma * invsqrt

    # normed = centered·gmul + beta
    beta_delta = _sum(delta)
    gmul_delta = _sum(delta * centered)
    centered_delta = delta * gmul
    # gmul = gamma·invsqrt
    gamma_delta = gmul_delta * invsqrt
    invsqrt_delta = gmul_delta * gamma
    # invsqrt = (variance + epsilon)^(-1/2)
    variance_delta = invsqrt_delta * -0.5 * invsqrt**3
    # variance = Σ square / n
    square_delta = np.broadcast_to(variance_delta / count, x.shape)
    # square = centered²
    centered_delta = centered_delta + square_delta * 2 * centered
    # centered = input − mean
    mean_delta = -_sum(centered_delta)
    # mean = Σ input / n
    input_delta = centered_delta + mean_delta / count
    return Gradients(input_delta, gamma_delta[:, 0], beta_delta[:, 0])


def closed_form_gradients(x: Array, gamma: Array, delta: Array, epsilon: float) -> Gradients:
    """input_delta = gamma/(n·√(variance + epsilon))·(n·δ − Σδ − x̂·Σ(δ·x̂)), biased variance."""
    count = x.shape[1]
    variance = x.var(axis=1, keepdims=True)
    inverse = 1 / np.sqrt(variance + epsilon)
    x_hat = (x - x.mean(axis=1, keepdims=True)) * inverse
    beta_delta, gamma_delta = _sum(delta), _sum(delta * x_hat)
    input_delta = gamma * inverse / count * (count * delta - beta_delta - x_hat * gamma_delta)
    return Gradients(input_delta, gamma_delta[:, 0], beta_delta[:, 0])
