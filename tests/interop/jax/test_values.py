"""normgraph.jax has the bits of the functions on arrays, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

pytestmark = pytest.mark.interop
jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402

import normgraph.jax as ngj  # noqa: E402

from .samples import (  # noqa: E402
    ACTIVATIONS,
    DTYPE_PAIRS,
    LAYOUTS,
    arguments,
    assert_same,
    axis_of,
    function,
    layer,
    on_arrays,
    with_type,
)


def on_jax(arrays: list[Any]) -> list[Any]:
    return [jnp.asarray(array) for array in arrays]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtypes", DTYPE_PAIRS, ids=str)
def test_forward_passes(dtypes: tuple[str, str], layout: str, activation: str) -> None:
    given = layer(*dtypes, layout)
    for kind in ("training", "inference"):
        arrays = arguments(kind, activation, given)
        options = {"epsilon": 1e-3, "channel_axis": axis_of(layout)}
        expected = on_arrays(kind, activation, **options)(*arrays)
        with with_type(dtypes[0]):
            call = function(kind, activation, **options)
            for variant in (call, jax.jit(call)):
                found = variant(*on_jax(arrays))
                if kind == "inference":
                    assert_same(found, expected)
                else:
                    for name, left, right in zip(found._fields, found, expected, strict=False):
                        assert_same(left, right, name)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtypes", DTYPE_PAIRS, ids=str)
def test_backward_passes(dtypes: tuple[str, str], layout: str, activation: str) -> None:
    given = layer(*dtypes, layout)
    axis = axis_of(layout)
    arrays = arguments("training", activation, given)
    forward = on_arrays("training", activation, channel_axis=axis, statistics_type="f64")(*arrays)
    expected = on_arrays("training", activation, "_backprop", channel_axis=axis)(
        given.input, given.gamma, given.beta, *forward[1:], given.delta
    )
    with with_type(dtypes[0]):
        call = function("training", activation, channel_axis=axis)

        def gradients(arrays: list[Any], delta: Any) -> Any:
            return jax.vjp(lambda *values: call(*values).output, *arrays)[1](delta)

        for variant in (gradients, jax.jit(gradients)):
            found = variant(on_jax(arrays), jnp.asarray(given.delta))
            for left, right in zip(found, expected, strict=True):
                assert_same(left, right)


@pytest.mark.parametrize("dtypes", DTYPE_PAIRS, ids=str)
def test_backward_pass_of_inference(dtypes: tuple[str, str]) -> None:
    given = layer(*dtypes)
    arrays = [given.input, given.gamma, given.beta, given.mean, given.variance]
    expected = ng.batch_norm_inference_backprop(*arrays, given.delta)
    with with_type(dtypes[0]):
        pull_back = jax.vjp(ngj.batch_norm_inference, *on_jax(arrays))[1]
        found = pull_back(jnp.asarray(given.delta))
    for left, right in zip(found[:3], expected, strict=True):
        assert_same(left, right)


@pytest.mark.parametrize("absent", [(), (1,), (2,), (1, 2)])
def test_absent_vectors(absent: tuple[int, ...]) -> None:
    given = layer("bfloat16", "float32")
    arrays = arguments("training", "", given)
    for index in absent:
        arrays[index] = None
    values = [None if array is None else jnp.asarray(array) for array in arrays]
    found, pull_back = jax.vjp(lambda *values: ngj.batch_norm_training(*values).output, *values)
    forward = ng.batch_norm_training(*arrays, statistics_type="f64")
    assert_same(found, forward.normalized)
    gradients = pull_back(jnp.asarray(given.delta))
    expected = ng.batch_norm_training_backprop(*arrays, *forward[1:], given.delta)
    for index, (left, right) in enumerate(zip(gradients, expected, strict=True)):
        assert (left is None) == (index in absent)
        if left is not None:
            assert_same(left, right)


def test_denormal_numbers_are_kept() -> None:
    """XLA flushes them in its own code, on the threads that call the kernels as well."""
    x = np.random.default_rng(1).normal(0, 1, (8, 3, 5)).astype(np.float32)
    gamma = np.full(3, 1e-41, np.float32)
    expected = ng.batch_norm_training(x, gamma, None).normalized
    assert (np.abs(expected) > 0).any()
    assert np.abs(expected).max() < np.finfo(np.float32).tiny
    found = jax.jit(lambda x, gamma: ngj.batch_norm_training(x, gamma, None).output)(x, gamma)
    assert_same(found, expected)
    tiny = np.full((8, 3, 5), 1e-40, np.float32)
    statistics = jax.jit(lambda x: ngj.batch_norm_training(x, None, None)[1:])(tiny)
    for left, right in zip(statistics, ng.batch_norm_training(tiny, None, None)[1:], strict=True):
        assert_same(left, right)


def test_not_a_number_stays_in_its_channel() -> None:
    given = layer()
    spoiled = given.input.copy()
    spoiled[2, 3, 1, 1] = np.nan

    def gradients(x: Any, gamma: Any) -> Any:
        def loss(x: Any, gamma: Any) -> Any:
            output, mean, variance = ngj.batch_norm_training_relu(x, gamma, given.beta)
            return (output * given.delta).sum() + mean.sum() + (variance * variance).sum()

        return jax.grad(loss, (0, 1))(x, gamma)

    whole, broken = (jax.jit(gradients)(x, given.gamma) for x in (given.input, spoiled))
    others = np.arange(5) != 3
    assert np.isnan(np.asarray(broken[0])[:, 3]).all()
    assert np.isnan(np.asarray(broken[1])[3])
    for left, right in zip(broken, whole, strict=True):
        taken = (slice(None), others) if left.ndim > 1 else others
        assert_same(np.asarray(left)[taken], np.asarray(right)[taken])


def test_numpy_arrays_are_taken() -> None:
    given = layer()
    found = ngj.batch_norm_training(given.input, given.gamma, given.beta, channel_axis=np.int64(1))
    assert isinstance(found.output, jax.Array)
    assert_same(found.output, ng.batch_norm_training(*given[:3]).normalized)
