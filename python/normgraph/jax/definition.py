"""Batch normalization and its gradients by definition, in JAX's operations.

The kernels have no derivatives of their own: those of a gradient, and tangents, are JAX's of these
functions. They compute in float64 where the data are, else in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


def compute_type(data_type: Any) -> Any:
    """The type in which data of this type are computed with."""
    return jnp.float64 if data_type == jnp.float64 else jnp.float32


def axes_of(input: jax.Array, channel_axis: int) -> tuple[int, ...]:
    """All axes but that of the channels, along which a channel is summed."""
    return tuple(axis for axis in range(input.ndim) if axis != channel_axis)


def per_channel(vector: jax.Array, like: jax.Array, channel_axis: int) -> jax.Array:
    """A vector of the channels in the shape that broadcasts with `like`, and in its type."""
    shape = [1] * like.ndim
    shape[channel_axis] = -1
    return vector.astype(like.dtype).reshape(shape)


class Batch(NamedTuple):
    """What of the arrays is in a batch, and what else is.

    By default the arrays are all of the batch.
    """

    #: Booleans that broadcast to the data, whose channel axis has length 1; None: all count.
    counts: jax.Array | None = None
    #: How many shards of equal shape there are.
    shards: int = 1
    #: Makes a sum of all shards of that of this one.
    total: Callable[[jax.Array], jax.Array] = lambda own: own

    def counted(self, values: jax.Array) -> jax.Array:
        """0 in the place of what does not count."""
        return values if self.counts is None else jnp.where(self.counts, values, 0)

    def element_count(self, x: jax.Array, channel_axis: int) -> Any:
        """How many elements of a channel of x count, on all shards."""
        positions = [x.shape[axis] for axis in axes_of(x, channel_axis)]
        if self.counts is None:
            return self.shards * math.prod(positions)
        return self.total(jnp.sum(self.counts, dtype=jnp.int32))

    def with_part(self, x: jax.Array, delta: jax.Array) -> jax.Array:
        """x, or 0 where it has no part in a backward pass.

        These are NaN and infinity that do not count and whose gradient is 0.
        """
        if self.counts is None:
            return x
        return jnp.where(self.counts | (delta != 0) | jnp.isfinite(x), x, 0)


_all = Batch()


def statistics(
    input: jax.Array, channel_axis: int, batch: Batch = _all
) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance of each channel of the batch."""
    x = batch.counted(input.astype(compute_type(input.dtype)))
    axes = axes_of(x, channel_axis)
    count = batch.element_count(x, channel_axis)
    mean = batch.total(jnp.sum(x, axes, keepdims=True)) / count
    variance = batch.total(jnp.sum(jnp.square(batch.counted(x - mean)), axes)) / count
    return mean.reshape(-1), variance


def normalized(
    input: jax.Array,
    gamma: jax.Array | None,
    beta: jax.Array | None,
    mean: jax.Array,
    variance: jax.Array,
    epsilon: float,
    channel_axis: int,
) -> jax.Array:
    """The data normalized with these statistics, in the type of computation."""
    x = input.astype(compute_type(input.dtype))
    scale = jax.lax.rsqrt(per_channel(variance, x, channel_axis) + epsilon)
    result = (x - per_channel(mean, x, channel_axis)) * scale
    if gamma is not None:
        result = result * per_channel(gamma, x, channel_axis)
    return result if beta is None else result + per_channel(beta, x, channel_axis)


def relu(values: jax.Array, upper_bound: float | None) -> jax.Array:
    """min(max(values, 0), upper_bound), whose derivative is 0 at either bound."""
    result = jnp.where(values <= 0, jnp.zeros_like(values), values)
    if upper_bound is None:
        return result
    bound = jnp.asarray(upper_bound, values.dtype)
    return jnp.where(values >= bound, jnp.full_like(values, bound), result)


def gradients(
    input: jax.Array,
    gamma: jax.Array | None,
    delta: jax.Array,
    mean: jax.Array,
    variance: jax.Array,
    epsilon: float,
    channel_axis: int,
    of_batch: bool,
    batch: Batch = _all,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The gradients of input, gamma and beta for the gradient `delta` of what is normalized.

    With `of_batch`, mean and variance are the statistics of the batch, so that the gradient of
    input holds theirs. In the type of computation.
    """
    x = input.astype(compute_type(input.dtype))
    d = delta.astype(x.dtype)
    x = batch.with_part(x, d)
    axes = axes_of(x, channel_axis)
    scale = jax.lax.rsqrt(per_channel(variance, x, channel_axis) + epsilon)
    unit = (x - per_channel(mean, x, channel_axis)) * scale
    beta_delta = batch.total(jnp.sum(d, axes, keepdims=True))
    gamma_delta = batch.total(jnp.sum(d * unit, axes, keepdims=True))
    if of_batch:
        count = batch.element_count(x, channel_axis)
        d = d - batch.counted(beta_delta / count + unit * gamma_delta / count)
    if gamma is not None:
        scale = scale * per_channel(gamma, x, channel_axis)
    return scale * d, gamma_delta.reshape(-1), beta_delta.reshape(-1)
