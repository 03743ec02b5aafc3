"""Functions of batch normalization as people write them: right ones and broken ones.

All work with numpy arrays of any rank, the channels on any axis, in the type of the data or, where
that has 16 bits, in float.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Function = Callable[..., Any]


def working(x: Array) -> Array:
    """At least float, as kernels for 16 bits do."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def axes_of(x: Array, channel_axis: int) -> tuple[int, ...]:
    return tuple(axis for axis in range(x.ndim) if axis != channel_axis % x.ndim)


def spread(vector: Array, x: Array, channel_axis: int) -> Array:
    shape = [1] * x.ndim
    shape[channel_axis] = -1
    return np.asarray(vector).reshape(shape)


# ---- forward -------------------------------------------------------------------------------------

#: (x, mean, variance, gamma, beta, epsilon) -> y, all of them spread over x.
Formula = Callable[..., Array]


def usual(x: Array, mean: Array, var: Array, gamma: Array, beta: Array, eps: float) -> Array:
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def two_passes(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    return x.mean(axes, keepdims=True), x.var(axes, keepdims=True)


def mean_square(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    mean = x.mean(axes, keepdims=True)
    return mean, np.maximum((x * x).mean(axes, keepdims=True) - mean * mean, 0)


def over_n_minus_1(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    return x.mean(axes, keepdims=True), x.var(axes, keepdims=True, ddof=1)


def in_half(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    mean, var = two_passes(x, axes)
    return mean.astype(np.float16).astype(x.dtype), var.astype(np.float16).astype(x.dtype)


def counted_in_half(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """One accumulator of float16, so that a long channel stops growing."""
    count = np.prod([x.shape[axis] for axis in axes])
    rows = np.moveaxis(x, axes, range(len(axes))).reshape(int(count), -1)
    total = np.zeros(rows.shape[1], np.float16)
    for row in rows.astype(np.float16):
        total = total + row
    shape = [1 if axis in axes else length for axis, length in enumerate(x.shape)]
    mean = (total.astype(np.float64) / count).astype(x.dtype).reshape(shape)
    return mean, ((x - mean) ** 2).mean(axes, keepdims=True)


def over_samples(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    return two_passes(x, (0,))


def forward_of(formula: Formula = usual, statistics: Callable[..., Any] = two_passes) -> Function:
    def forward(x: Array, gamma: Array, beta: Array, eps: float, channel_axis: int) -> Array:
        wide = working(x)
        mean, var = statistics(wide, axes_of(x, channel_axis))
        gamma, beta = (spread(vector, x, channel_axis) for vector in (gamma, beta))
        return formula(wide, mean, var, gamma, beta, wide.dtype.type(eps)).astype(x.dtype)

    return forward


#: name -> (function, the mistake that has to be named first)
FORWARDS: dict[str, tuple[Function, str]] = {
    "unshifted variance": (forward_of(statistics=mean_square), "unshifted_variance"),
    "unbiased variance": (forward_of(statistics=over_n_minus_1), "unbiased_variance"),
    "statistics over the samples alone": (forward_of(statistics=over_samples), "wrong_axis"),
    "statistics in half precision": (forward_of(statistics=in_half), "statistics_16_bits"),
    "epsilon outside of the root": (
        forward_of(lambda x, m, v, g, b, e: g * (x - m) / (np.sqrt(v) + e) + b),
        "epsilon_outside_root",
    ),
    "no epsilon": (
        forward_of(lambda x, m, v, g, b, e: g * (x - m) / np.sqrt(v) + b),
        "epsilon_missing",
    ),
    "another epsilon": (
        forward_of(lambda x, m, v, g, b, e: usual(x, m, v, g, b, 10 * e)),
        "other_epsilon",
    ),
    "rsqrt of the inverse deviation": (
        forward_of(lambda x, m, v, g, b, e: g * (x - m) / np.sqrt(1 / np.sqrt(v + e) + e) + b),
        "inverse_as_variance",
    ),
    "rsqrt of the deviation": (
        forward_of(lambda x, m, v, g, b, e: g * (x - m) / np.sqrt(np.sqrt(v) + e) + b),
        "deviation_as_variance",
    ),
    "not centered": (
        forward_of(lambda x, m, v, g, b, e: g * x / np.sqrt(v + e) + b),
        "not_centered",
    ),
    "root forgotten": (
        forward_of(lambda x, m, v, g, b, e: g * (x - m) / (v + e) + b),
        "variance_not_rooted",
    ),
    "gamma forgotten": (
        forward_of(lambda x, m, v, g, b, e: (x - m) / np.sqrt(v + e) + b),
        "gamma_missing",
    ),
    "beta forgotten": (
        forward_of(lambda x, m, v, g, b, e: g * (x - m) / np.sqrt(v + e)),
        "beta_missing",
    ),
}  # fmt: skip


def narrowed(x: Array, gamma: Array, beta: Array, eps: float, channel_axis: int) -> Array:
    """All of it in float32."""
    arrays = (array.astype(np.float32) for array in (x, gamma, beta))
    return forward_of()(*arrays, eps, channel_axis).astype(x.dtype)


def spoiled(x: Array, gamma: Array, beta: Array, eps: float, channel_axis: int) -> Array:
    """A NaN anywhere makes all of it NaN."""
    return forward_of()(x, gamma, beta, eps, channel_axis) + x.dtype.type(0) * x.max()


# ---- inference -----------------------------------------------------------------------------------


def inference_of(formula: Formula) -> Function:
    def inference(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float, channel_axis: int
    ) -> Array:
        wide = working(x)
        vectors = (spread(vector, x, channel_axis) for vector in (mean, var, gamma, beta))
        return formula(wide, *vectors, wide.dtype.type(eps)).astype(x.dtype)

    return inference


def own_statistics(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float,
                   channel_axis: int) -> Array:  # fmt: skip
    """Takes the batch's statistics where others are given."""
    return forward_of()(x, gamma, beta, eps, channel_axis)


# ---- backward ------------------------------------------------------------------------------------


def backward_of(
    formula: Callable[..., Array] | None = None, sums: Callable[..., Any] | None = None
) -> Function:
    """formula: (d, xh, scale, dbeta, dgamma, n, inv) -> dx; sums: (d, xh, axes) -> their sums."""

    def backward(
        x: Array, gamma: Array, mean: Array, var: Array, dy: Array, eps: float, channel_axis: int
    ) -> Any:
        axes = axes_of(x, channel_axis)
        wide, delta = working(x), working(dy)
        gamma, mean, var = (spread(vector, x, channel_axis) for vector in (gamma, mean, var))
        inv = 1 / np.sqrt(var + wide.dtype.type(eps))
        x_hat = (wide - mean) * inv
        dbeta, dgamma = delta.sum(axes, keepdims=True), (delta * x_hat).sum(axes, keepdims=True)
        n = max(x.size // max(gamma.size, 1), 1)
        make = formula or right_dx
        dx = make(delta, x_hat, gamma * inv, dbeta, dgamma, n, inv).astype(x.dtype)
        if sums is not None:
            dgamma, dbeta = sums(delta, x_hat, axes)
        return dx, dgamma, dbeta

    return backward


def right_dx(d: Array, xh: Array, s: Array, db: Array, dg: Array, n: int, inv: Array) -> Array:
    return s * (d - db / n - xh * dg / n)


#: name -> (function, the output that is wrong, the mistake in it)
BACKWARDS: dict[str, tuple[Function, str]] = {
    "mean path missing": (
        backward_of(lambda d, xh, s, db, dg, n, inv: s * (d - xh * dg / n)),
        "missing_mean_path",
    ),
    "variance path missing": (
        backward_of(lambda d, xh, s, db, dg, n, inv: s * (d - db / n)),
        "missing_variance_path",
    ),
    "as with frozen statistics": (
        backward_of(lambda d, xh, s, db, dg, n, inv: s * d),
        "frozen_statistics",
    ),
    "n - 1 in the variance path": (
        backward_of(lambda d, xh, s, db, dg, n, inv: s * (d - db / n - xh * dg / (n - 1 or 1))),
        "n_minus_1",
    ),
    "sign of the variance path": (
        backward_of(lambda d, xh, s, db, dg, n, inv: s * (d - db / n + xh * dg / n)),
        "sign",
    ),
    "inv twice": (
        backward_of(lambda d, xh, s, db, dg, n, inv: inv * right_dx(d, xh, s, db, dg, n, inv)),
        "inv_twice",
    ),
    "sums not divided": (
        backward_of(lambda d, xh, s, db, dg, n, inv: s * (d - db - xh * dg)),
        "not_divided_by_n",
    ),
    "sums averaged": (
        backward_of(sums=lambda d, xh, axes: ((d * xh).mean(axes), d.mean(axes))),
        "averaged",
    ),
    "sums swapped": (
        backward_of(sums=lambda d, xh, axes: (d.sum(axes), (d * xh).sum(axes))),
        "sum_without_x_hat",
    ),
    "sums not summed": (
        backward_of(sums=lambda d, xh, axes: (d * xh, d)),
        "shape",
    ),
}  # fmt: skip
