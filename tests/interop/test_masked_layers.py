"""Masked batch normalization of Flax and Keras: where they agree with `where=`, and where not."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pytest

import normgraph as ng

from ..kernel.real_types import REAL_TYPES, Array

jax = pytest.importorskip("jax", reason="left out: masked layers of Flax and Keras, without JAX")
jnp = pytest.importorskip("jax.numpy")
LEFT_OUT = "left out: masked layers of Flax and Keras, which need `pip install flax keras`"
linen = pytest.importorskip("flax.linen", reason=LEFT_OUT)
nnx = pytest.importorskip("flax.nnx", reason=LEFT_OUT)
# Keras takes its backend, and a file of settings that it writes where there is none, from the
# environment when it is imported; what runs in this process later shall not see either.
with (
    tempfile.TemporaryDirectory() as folder,
    patch.dict(os.environ, KERAS_BACKEND="jax", KERAS_HOME=folder),
):
    keras = pytest.importorskip("keras", reason=LEFT_OUT)
if keras.backend.backend() != "jax":
    pytest.skip(
        f"left out: masked layers of Keras, imported for {keras.backend.backend()} before",
        allow_module_level=True,
    )

pytestmark = pytest.mark.interop

EPSILON = 1e-3


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    """JAX keeps f64 in these tests, and in these alone."""
    with jax.enable_x64(True):
        yield


class Forward(NamedTuple):
    """What a layer gives in training, its statistics unmixed with older ones."""

    y: Any
    mean: Any
    variance: Any


class Gradients(NamedTuple):
    input: Any
    gamma: Any
    beta: Any


Layer = Callable[..., Forward]


def axes_of(x: Any, mask: Any, channel_axis: int) -> Any:
    """Flax's masks have a channel axis of length 1."""
    return jnp.expand_dims(mask, channel_axis % x.ndim)


def flax_linen(x: Any, gamma: Any, beta: Any, mask: Any, axis: int = -1, **options: Any) -> Forward:
    layer = linen.BatchNorm(
        use_running_average=False,
        axis=axis,
        momentum=0.0,
        epsilon=EPSILON,
        param_dtype=gamma.dtype,
        **options,
    )
    variables = {
        "params": {"scale": gamma, "bias": beta},
        "batch_stats": {"mean": jnp.zeros_like(gamma), "var": jnp.ones_like(gamma)},
    }
    y, changed = layer.apply(variables, x, mask=axes_of(x, mask, axis), mutable=["batch_stats"])
    return Forward(y, changed["batch_stats"]["mean"], changed["batch_stats"]["var"])


def flax_nnx(x: Any, gamma: Any, beta: Any, mask: Any, axis: int = -1, **options: Any) -> Forward:
    layer = nnx.BatchNorm(
        len(gamma),
        use_running_average=False,
        axis=axis,
        momentum=0.0,
        epsilon=EPSILON,
        param_dtype=gamma.dtype,
        rngs=nnx.Rngs(0),
        **options,
    )
    layer.scale, layer.bias = nnx.Param(gamma), nnx.Param(beta)
    layer.mean, layer.var = (
        nnx.BatchStat(jnp.zeros_like(gamma)),
        nnx.BatchStat(jnp.ones_like(gamma)),
    )
    y = layer(x, mask=axes_of(x, mask, axis))
    return Forward(y, layer.mean[...], layer.var[...])


def keras_layer(x: Any, gamma: Any, beta: Any, mask: Any, axis: int = -1) -> Forward:
    layer = keras.layers.BatchNormalization(
        axis=axis, momentum=0.0, epsilon=EPSILON, dtype=gamma.dtype.name
    )
    layer.build(x.shape)
    y, (mean, variance) = layer.stateless_call(
        [gamma, beta], [jnp.zeros_like(gamma), jnp.ones_like(gamma)], x, mask=mask, training=True
    )
    return Forward(y, mean, variance)


FLAX: dict[str, Layer] = {"flax.linen": flax_linen, "flax.nnx": flax_nnx}
LAYERS: dict[str, Layer] = {**FLAX, "keras": keras_layer}
EVERY_LAYER = pytest.mark.parametrize("name", LAYERS)
FLAX_LAYERS = pytest.mark.parametrize("name", FLAX)


def ours(x: Array, gamma: Array, beta: Array, where: Array, axis: int = -1) -> Forward:
    return Forward(*ng.batch_norm_training(x, gamma, beta, EPSILON, axis, where=where))


def our_gradients(
    x: Array, gamma: Array, beta: Array, where: Array, delta: Array, axis: int = -1
) -> Gradients:
    forward = ours(x, gamma, beta, where, axis)
    return Gradients(
        *ng.batch_norm_training_backprop(
            x, gamma, beta, forward.mean, forward.variance, delta, EPSILON, axis, where=where
        )
    )


def gradients(
    layer: Layer, x: Array, gamma: Array, beta: Array, where: Array, delta: Array, axis: int = -1
) -> Gradients:
    """By JAX, of the sum of y·delta."""

    def y(x: Any, gamma: Any, beta: Any) -> Any:
        return layer(x, gamma, beta, jnp.asarray(where), axis).y

    _, pull_back = jax.vjp(y, jnp.asarray(x), jnp.asarray(gamma), jnp.asarray(beta))
    return Gradients(*pull_back(jnp.asarray(delta)))


def run(layer: Layer, x: Array, gamma: Array, beta: Array, mask: Array, **options: Any) -> Forward:
    return layer(*(jnp.asarray(array) for array in (x, gamma, beta, mask)), **options)


class Problem(NamedTuple):
    x: Array
    gamma: Array
    beta: Array
    where: Array
    delta: Array


def spread(where: Array, channel_axis: int = -1) -> Array:
    """With a channel axis of length 1."""
    return np.expand_dims(where, channel_axis)


def problem(
    shape: tuple[int, ...],
    mask: str = "lengths",
    data_type: str = "f32",
    *,
    channel_axis: int = -1,
    offset: float = 1.0,
    everywhere: bool = False,
) -> Problem:
    """Gradients arrive at what counts, or everywhere."""
    random = np.random.default_rng([len(shape), len(mask)])
    dtype = REAL_TYPES[data_type].dtype
    x, delta = random.normal(offset, 1.0, shape), random.normal(size=shape)
    channels = shape[channel_axis]
    gamma, beta = random.uniform(0.5, 2.0, channels), random.normal(size=channels)
    positions = np.delete(shape, channel_axis)
    if mask == "lengths":
        lengths = random.integers(0, positions[1] + 1, positions[0])
        lengths[0] = positions[1]
        first = np.arange(positions[1]) < lengths[:, None]
        where = np.broadcast_to(
            first.reshape(*first.shape, *[1] * (len(positions) - 2)), positions
        ).copy()
    else:
        where = random.random(positions) < 0.6
    if not everywhere:
        delta = np.where(spread(where, channel_axis), delta, 0.0)
    return Problem(
        x.astype(dtype), gamma.astype(dtype), beta.astype(dtype), where, delta.astype(dtype)
    )


def counted(array: Any, where: Array) -> Array:
    """(n, C): what counts of an array with the channels last."""
    result: Array = np.asarray(array)[where]
    return result


def error(found: Any, expected: Array) -> float:
    return float(np.max(np.abs(np.asarray(found, np.float64) - expected)))


# ---- where they agree ---------------------------------------------------------------------------


#: Keras has no masks for channels first, as is shown below.
AGREEING = [
    (name, shape, channel_axis)
    for name in LAYERS
    for shape, channel_axis in (((6, 9, 3), -1), ((3, 4, 5, 2), -1), ((3, 2, 4, 5), 1))
    if name != "keras" or channel_axis == -1
]


@pytest.mark.parametrize("everywhere", [False, True], ids=["what counts", "everywhere"])
@pytest.mark.parametrize("data_type", ["f32", "f64"])
@pytest.mark.parametrize("mask", ["lengths", "scattered"])
@pytest.mark.parametrize(("name", "shape", "channel_axis"), AGREEING)
def test_values_statistics_and_gradients_agree(
    name: str,
    shape: tuple[int, ...],
    channel_axis: int,
    mask: str,
    data_type: str,
    everywhere: bool,
) -> None:
    x, gamma, beta, where, delta = problem(
        shape, mask, data_type, channel_axis=channel_axis, everywhere=everywhere
    )
    # Two programs' sums of at most `size` terms below 100 in size; f64 is f32 to Keras, see below.
    summed_in = "f32" if name == "keras" else data_type
    tolerance = 100 * 2 * where.size * float(REAL_TYPES[summed_in].unit_roundoff)
    found = run(LAYERS[name], x, gamma, beta, where, axis=channel_axis)
    expected = ours(x, gamma, beta, where, channel_axis)
    pulled_back = gradients(LAYERS[name], x, gamma, beta, where, delta, channel_axis)
    pulled_by_us = our_gradients(x, gamma, beta, where, delta, channel_axis)
    for result, value in zip((*found, *pulled_back), (*expected, *pulled_by_us), strict=True):
        assert result.dtype == value.dtype
        np.testing.assert_allclose(result, value, rtol=0, atol=tolerance)


# ---- where they do not --------------------------------------------------------------------------


@EVERY_LAYER
@pytest.mark.parametrize("padding", [np.nan, np.inf])
def test_what_is_not_finite_in_the_padding_reaches_the_gradients_of_theirs(
    padding: float, name: str
) -> None:
    x, gamma, beta, where, delta = problem((6, 9, 3))
    dirty = np.where(spread(where), x, np.float32(padding))
    found, clean = (run(LAYERS[name], values, gamma, beta, where) for values in (dirty, x))
    np.testing.assert_array_equal(counted(found.y, where), counted(clean.y, where))
    pulled_back = gradients(LAYERS[name], dirty, gamma, beta, where, delta)
    assert np.isnan(pulled_back.gamma).all()
    assert np.isnan(counted(pulled_back.input, where)).all()
    assert np.isfinite(pulled_back.beta).all()
    check_ours_do_not_read_the_padding(dirty, x, gamma, beta, where, delta)


@EVERY_LAYER
def test_large_numbers_in_the_padding_change_nothing(name: str) -> None:
    x, gamma, beta, where, delta = problem((6, 9, 3))
    dirty = np.where(spread(where), x, np.float32(1e30))
    expected = gradients(LAYERS[name], x, gamma, beta, where, delta)
    for result, value in zip(
        gradients(LAYERS[name], dirty, gamma, beta, where, delta), expected, strict=True
    ):
        np.testing.assert_allclose(result, value, rtol=0, atol=1e-4)
    check_ours_do_not_read_the_padding(dirty, x, gamma, beta, where, delta)


def check_ours_do_not_read_the_padding(dirty: Array, clean: Array, *rest: Any) -> None:
    found, expected = our_gradients(dirty, *rest), our_gradients(clean, *rest)
    for result, value in zip(found, expected, strict=True):
        np.testing.assert_array_equal(result, value)


@pytest.mark.parametrize("name", ["flax.linen", "keras"])
def test_a_mask_of_floats_is_taken_for_one_of_booleans_by_theirs(name: str) -> None:
    x, gamma, beta, where, _ = problem((6, 9, 3))
    halves = where.astype(np.float32) / 2
    found = run(LAYERS[name], x, gamma, beta, halves)
    for result, value in zip(found, run(LAYERS[name], x, gamma, beta, where), strict=True):
        np.testing.assert_array_equal(result, value)
    with pytest.raises(ValueError, match=r"where: expected a boolean array, got one of f32"):
        ours(x, gamma, beta, halves)


def test_a_mask_of_floats_is_refused_by_nnx_as_by_us() -> None:
    x, gamma, beta, where, _ = problem((6, 9, 3))
    with pytest.raises(ValueError, match="boolean"):
        run(flax_nnx, x, gamma, beta, where.astype(np.float32))


@FLAX_LAYERS
def test_the_variance_of_flax_cancels_unless_told_otherwise(name: str) -> None:
    x, gamma, beta, where, _ = problem((6, 9, 3), offset=1e4)
    exact = counted(x, where).astype(np.float64)
    variance = exact.var(axis=0)
    found = run(LAYERS[name], x, gamma, beta, where)
    assert error(found.variance / variance, np.ones(3)) > 0.5
    slow = run(LAYERS[name], x, gamma, beta, where, use_fast_variance=False)
    # Deviations below 4 from a mean that is off by 5e-3 at most, after sums of 54 terms of 1e4.
    assert error(slow.variance, variance) < 5e-3**2 + 1e-6
    # One rounding of a number below 4.
    assert error(ours(x, gamma, beta, where).variance, variance) <= 2.0**-23


def test_the_values_of_keras_cancel() -> None:
    x, gamma, beta, where, _ = problem((6, 9, 3), offset=1e4)
    exact, known = x.astype(np.float64), counted(x, where).astype(np.float64)
    normalized = (exact - known.mean(axis=0)) / np.sqrt(known.var(axis=0) + EPSILON)
    expected = normalized * gamma + beta
    assert error(run(keras_layer, x, gamma, beta, where).y, expected) > 1e-4
    # Values below 8, of factors in f32.
    assert error(ours(x, gamma, beta, where).y, expected) < 2e-6


def test_keras_on_jax_computes_f64_in_f32() -> None:
    x, gamma, beta, where, _ = problem((6, 9, 3), "lengths", "f64", offset=1e8)
    known = counted(x, where)
    found = run(keras_layer, x, gamma, beta, where)
    assert found.y.dtype == found.mean.dtype == np.float64
    assert error(found.mean, known.mean(axis=0)) > 0.1
    assert error(found.variance, known.var(axis=0)) > 0.1
    expected = ours(x, gamma, beta, where)
    np.testing.assert_allclose(expected.mean, known.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(expected.variance, known.var(axis=0), rtol=1e-12)


def test_keras_lays_a_mask_over_channels_first() -> None:
    x, gamma, beta, where, _ = problem((6, 3, 9), channel_axis=1)
    with pytest.raises(ValueError, match="Incompatible types for broadcasting"):
        run(keras_layer, x, gamma, beta, where, axis=1)
    # Where there are as many channels as positions, nothing is said: the mask of (samples, time)
    # is one of (samples, channels).
    x, gamma, beta, where, _ = problem((6, 5, 5), channel_axis=1)
    found = run(keras_layer, x, gamma, beta, where, axis=1)
    expected = np.moveaxis(x, 1, -1)[where].mean(axis=0)
    mistaken = [x[:, channel][where[:, channel]].mean() for channel in range(4)]
    np.testing.assert_allclose(found.mean[:4], mistaken, rtol=1e-5)
    assert error(found.mean, expected) > 0.1
    np.testing.assert_allclose(ours(x, gamma, beta, where, 1).mean, expected, rtol=1e-6)


def test_keras_has_no_masked_statistics_of_one_channel() -> None:
    x, gamma, beta, where, _ = problem((6, 9, 1))
    with pytest.raises(IndexError):
        run(keras_layer, x, gamma, beta, where)
    np.testing.assert_allclose(
        ours(x, gamma, beta, where).mean, counted(x, where).mean(axis=0), rtol=1e-6
    )


@EVERY_LAYER
def test_a_batch_of_which_nothing_counts_is_not_refused_by_theirs(name: str) -> None:
    x, gamma, beta, where, _ = problem((6, 9, 3))
    nothing = np.zeros_like(where)
    found = run(LAYERS[name], x, gamma, beta, nothing)
    if name == "keras":
        np.testing.assert_array_equal([found.mean, found.variance], np.zeros((2, 3)))
        np.testing.assert_allclose(
            found.y, gamma * x / np.sqrt(EPSILON) + beta, rtol=1e-4, atol=1e-4
        )
    else:
        assert np.isnan([found.mean, found.variance]).all()
        assert np.isnan(found.y).all()
    with pytest.raises(ValueError, match="where: expected at least one position"):
        ours(x, gamma, beta, nothing)
