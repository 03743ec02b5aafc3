"""Derivatives of the first, the second and the third order, and what has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.interop
jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

import normgraph.jax as ngj  # noqa: E402

from .samples import ACTIVATIONS, Layer, arguments, enable_x64, function, layer  # noqa: E402

SMALL = "in the middle"
AXIS = -3


def reference(kind: str, activation: str) -> Any:
    """The layer by definition, independent of normgraph.jax, with the mean and variance."""

    def call(input: Any, gamma: Any, beta: Any, *others: Any) -> Any:
        axes = tuple(axis for axis in range(input.ndim) if axis != AXIS % input.ndim)
        column = [1] * input.ndim
        column[AXIS] = -1
        if kind == "training":
            mean, variance = input.mean(axes), input.var(axes)
        else:
            mean, variance, *others = others
        y = (input - mean.reshape(column)) / jnp.sqrt(variance.reshape(column) + 1e-5)
        y = y * gamma.reshape(column) + beta.reshape(column)
        if activation == "add_relu":
            y = y + others[0]
        if activation:
            y = jnp.where(y > 0, y, 0)
        if activation == "relu6":
            bound = ACTIVATIONS["relu6"]["upper_bound"]
            y = jnp.where(y < bound, y, bound)
        return (y, mean, variance) if kind == "training" else y

    return call


def scalar(call: Any, given: Layer) -> Any:
    """A sum of all that a layer puts out, in which no gradient vanishes."""

    def loss(*arrays: Any) -> Any:
        results = call(*arrays)
        results = results if isinstance(results, tuple) else (results,)
        total = (results[0] * given.delta + results[0] ** 2).sum()
        return total + sum((vector**3).sum() for vector in results[1:])

    return loss


def assert_close(found: Any, expected: Any) -> None:
    for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        size = 1.0 + float(jnp.abs(right).max())
        np.testing.assert_allclose(left, right, rtol=0, atol=2e-11 * size)


@pytest.mark.parametrize("forward_mode", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", ["training", "inference"])
def test_derivatives_of_three_orders(kind: str, activation: str, forward_mode: bool) -> None:
    """All the first ones, and of the others those along one direction."""
    with enable_x64():
        given = layer("float64", layout=SMALL)
        arrays = [jnp.asarray(array) for array in arguments(kind, activation, given)]
        direction = [jnp.cos(array * 3) for array in arrays]

        def derivatives(call: Any) -> Any:
            loss = scalar(call, given)

            def slope(function: Any) -> Any:
                def along(*values: Any) -> Any:
                    gradients = jax.grad(function, tuple(range(len(values))))(*values)
                    pairs = zip(gradients, direction, strict=True)
                    return sum((left * right).sum() for left, right in pairs)

                return along

            every = tuple(range(len(arrays)))
            return [
                jax.grad(function, every)(*arrays)
                for function in (loss, slope(loss), slope(slope(loss)))
            ]

        call = function(kind, activation, channel_axis=AXIS, forward_mode=forward_mode)
        assert_close(derivatives(call), derivatives(reference(kind, activation)))


@pytest.mark.parametrize("activation", ["", "relu"])
def test_finite_differences(activation: str) -> None:
    with enable_x64():
        given = layer("float64", layout=SMALL)
        arrays = [jnp.asarray(array) for array in arguments("training", activation, given)]
        loss = scalar(function("training", activation, channel_axis=AXIS), given)
        check_grads(loss, arrays, order=2, modes=["rev"], eps=1e-6, rtol=1e-5)
        both = function("training", activation, channel_axis=AXIS, forward_mode=True)
        check_grads(scalar(both, given), arrays, order=2, modes=["fwd", "rev"], rtol=1e-5)


@pytest.mark.parametrize("kind", ["training", "inference"])
def test_tangents_and_hessians_of_forward_mode(kind: str) -> None:
    with enable_x64():
        given = layer("float64", layout=SMALL)
        arrays = tuple(jnp.asarray(array) for array in arguments(kind, "", given))
        tangents = tuple(jnp.sin(array) for array in arrays)
        found, expected = (
            jax.jvp(lambda *values, call=call: tuple(call(*values)), arrays, tangents)[1]
            for call in (
                function(kind, "", channel_axis=AXIS, forward_mode=True),
                reference(kind, ""),
            )
        )
        assert_close(found, expected)
        call, definition = (
            function(kind, "", channel_axis=AXIS, forward_mode=True),
            reference(kind, ""),
        )
        hessians = (
            jax.hessian(lambda gamma, loss=loss: loss(arrays[0], gamma, *arrays[2:]))(arrays[1])
            for loss in (scalar(call, given), scalar(definition, given))
        )
        assert_close(*hessians)


def test_forward_mode_is_refused_by_jax_unless_it_is_asked_for() -> None:
    given = layer()
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(
            lambda x: ngj.batch_norm_training(x, None, None).output,
            (given.input,) * 1,
            (given.delta,),
        )


def test_gradients_that_no_one_asks_for_are_not_computed() -> None:
    given = layer()

    def loss(input: Any, gamma: Any) -> Any:
        return (ngj.batch_norm_training(input, gamma, None).output ** 2).sum()

    program = jax.jit(jax.grad(loss, 1)).lower(given.input, given.gamma).as_text()
    (call,) = [
        line for line in program.splitlines() if "normgraph.BatchNormTrainingBackprop" in line
    ]
    assert call.split("->")[-1].count("6x5x4x3") == 0
    both = jax.jit(jax.grad(loss, (0, 1))).lower(given.input, given.gamma).as_text()
    (call,) = [line for line in both.splitlines() if "normgraph.BatchNormTrainingBackprop" in line]
    assert call.split("->")[-1].count("6x5x4x3") == 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_second_derivatives_without_doubles(dtype: str) -> None:
    """In float32, which JAX's own operations have: about as exact as JAX's of the definition."""
    given = layer(dtype, "float32", layout=SMALL)

    def penalty(call: Any, given: Layer) -> Any:
        def loss(x: Any) -> Any:
            return (call(x, given.gamma, given.beta)[0] * given.delta).astype(jnp.float32).sum()

        def squares(x: Any) -> Any:
            return (jax.grad(loss)(x).astype(jnp.float32) ** 2).sum()

        return jax.jit(jax.grad(squares))(given.input)

    found = penalty(function("training", "", channel_axis=AXIS), given)
    assert found.dtype == jnp.dtype(dtype)
    with enable_x64():
        wide = Layer(*(np.asarray(array, np.float64) for array in given))
        exact = penalty(reference("training", ""), wide)
    size = float(np.abs(exact).max())
    steps = {"bfloat16": 2.0**-7, "float32": 2.0**-18}[dtype]
    np.testing.assert_allclose(np.asarray(found, np.float64), exact, rtol=0, atol=steps * size)
