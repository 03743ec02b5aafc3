"""What is refused, and with which words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import normgraph as ng

pytestmark = pytest.mark.interop
jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402

import normgraph.jax as ngj  # noqa: E402

from .samples import layer  # noqa: E402


def traced(call: Any, *arrays: Any) -> Any:
    return jax.jit(call)(*arrays)


@pytest.mark.parametrize("transform", [lambda call: call, jax.jit], ids=["eager", "jit"])
def test_violated_constraints_have_their_labels(transform: Any) -> None:
    given = layer()
    cases: list[tuple[str, Any]] = [
        ("C9", lambda x: ngj.batch_norm_training(x, given.gamma[:2], None)),
        ("C6", lambda x: ngj.batch_norm_training(x, None, None, channel_axis=4)),
        ("C1", lambda x: ngj.batch_norm_training(x, None, None, epsilon=-1.0)),
        ("C4", lambda x: ngj.batch_norm_training(x, given.gamma.astype(np.float16), None)),
        ("C13", lambda x: ngj.batch_norm_training_relu(x, None, None, upper_bound=-1.0)),
    ]
    for label, call in cases:
        with pytest.raises(ng.NodeValidationFailure) as caught:
            transform(call)(given.input)
        assert label in caught.value.labels, label


def test_the_cure_of_types_that_do_not_fit_is_named() -> None:
    given = layer()
    with pytest.raises(ng.NodeValidationFailure, match=r"gamma\.astype\('float32'\)"):
        ngj.batch_norm_training(given.input, given.gamma.astype(np.float16), None)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="input: expected at least one element per channel"):
        traced(lambda x: ngj.batch_norm_training(x, None, None).output, jnp.zeros((0, 3)))
    empty = ngj.batch_norm_inference(jnp.zeros((0, 3)), None, None, jnp.zeros(3), jnp.ones(3))
    assert empty.shape == (0, 3)


def test_arguments_of_other_kinds() -> None:
    x = layer().input
    with pytest.raises(TypeError, match=r"gamma: expected an array, got 1\.0 of type float"):
        ngj.batch_norm_training(x, 1.0, None)
    with pytest.raises(TypeError, match=r"input: expected an array of float16.*got int32"):
        ngj.batch_norm_training(x.astype(np.int32), None, None)
    with pytest.raises(TypeError, match="mean: expected an array, got None"):
        ngj.batch_norm_inference(x, None, None, None, None)
    with pytest.raises(TypeError, match="residual: expected an array, got None"):
        ngj.batch_norm_training_add_relu(x, None, None, None)
    with pytest.raises(TypeError, match=r"channel_axis: expected an integer, got 1\.0"):
        ngj.batch_norm_training(x, None, None, channel_axis=1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="epsilon: expected a number, got 'small'"):
        ngj.batch_norm_training(x, None, None, epsilon="small")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="upper_bound: expected a number, got True"):
        ngj.batch_norm_training_relu(x, None, None, upper_bound=True)
    with pytest.raises(TypeError, match="channel_axis: expected an integer, got True"):
        ngj.batch_norm_training(x, None, None, channel_axis=True)
    with pytest.raises(ValueError, match="axis_name: expected the name of an axis"):
        ngj.batch_norm_training(x, None, None, exchange="psum")


@pytest.mark.parametrize("name", ["epsilon", "channel_axis"])
def test_traced_attributes(name: str) -> None:
    def call(x: Any, value: Any) -> Any:
        return ngj.batch_norm_training(x, None, None, **{name: value}).output

    with pytest.raises(TypeError, match=f"{name}: expected .* static_argnames"):
        traced(call, layer().input, 1)


@pytest.mark.parametrize(
    "transform",
    [jax.jit, jax.vmap, lambda call: jax.grad(lambda x: call(x).normalized.sum())],
    ids=["jit", "vmap", "grad"],
)
def test_functions_on_arrays_name_those_of_jax(transform: Any) -> None:
    x = jnp.asarray(layer().input)
    with pytest.raises(
        TypeError, match=r"input: expected an array, got a tracer of JAX.*normgraph\.jax"
    ):
        transform(lambda x: ng.batch_norm_training(x, None, None))(x)
    with pytest.raises(TypeError, match=r"input: .*normgraph\.jax"):
        transform(lambda x: ng.batch_norm_statistics(x))(x)


def raw_call(results: Any, *arrays: Any, **attributes: Any) -> Any:
    given = {
        "epsilon": np.float64(1e-5),
        "channel_axis": np.int64(1),
        "count": np.int64(0),
        "inputs": np.int64(1),
        "outputs": np.int64(1),
        "rank": np.int64(4),
        **attributes,
    }
    present = {name: value for name, value in given.items() if value is not None}
    call = jax.ffi.ffi_call("normgraph.BatchNormTraining", results)
    return jax.block_until_ready(call(*arrays, **present))


def test_handlers_refuse_what_they_do_not_expect() -> None:
    """Their errors are XLA's, with the text."""
    x = jnp.asarray(layer().input)
    same = [jax.ShapeDtypeStruct(x.shape, x.dtype)]
    error = jax.errors.JaxRuntimeError
    assert raw_call(same, x)[0].shape == x.shape
    vector = jnp.ones(5)
    three = [jax.ShapeDtypeStruct((3, *x.shape), x.dtype)]
    with pytest.raises(error, match="input: expected an argument"):
        raw_call(same, vector, inputs=np.int64(2))
    with pytest.raises(error, match="input: expected an argument"):
        raw_call(same, inputs=np.int64(0))
    with pytest.raises(error, match="results: expected at most 3"):
        raw_call(same, x, outputs=np.int64(8))
    with pytest.raises(error, match="rank: expected at most that of the first argument"):
        raw_call(same, x, rank=np.int64(5))
    with pytest.raises(error, match="gamma: expected as many problems as of the first result"):
        raw_call(three, jnp.stack([x] * 3), jnp.ones((2, 5)), inputs=np.int64(3))
    with pytest.raises(error, match="epsilon: expected an attribute of this name"):
        raw_call(same, x, epsilon=None)
    with pytest.raises(error, match="epsilon: expected a scalar of another type"):
        raw_call(same, x, epsilon=np.float32(1))
    with pytest.raises(error, match="arguments: expected 2 buffers, got 1"):
        raw_call(same, x, inputs=np.int64(3))
    with pytest.raises(error, match="input: expected an array of f16, bf16, f32 or f64"):
        raw_call([jax.ShapeDtypeStruct(x.shape, jnp.int32)], x.astype(jnp.int32))
    where, lengths, count = (np.int64(1 | 1 << place) for place in (3, 4, 5))
    for array, inputs, text in (
        (x, np.int64(1 | 1 << 6), "arguments: expected at most 3"),
        (jnp.ones(6), where, "where: expected an array of booleans"),
        (jnp.ones((6, 3, 3), bool), where, "where: expected a shape that broadcasts"),
        (jnp.ones(6), lengths, "lengths: expected an array of integers"),
        (jnp.ones(5, jnp.int32), lengths, "lengths: .* one for each of 6 samples"),
        (jnp.ones((), jnp.int8), count, "count: expected a scalar of i32"),
        (jnp.ones(2, jnp.int32), count, "count: expected a scalar of i32"),
        (jnp.zeros((), jnp.int32), count, "count: expected at least 1, got 0"),
    ):
        with pytest.raises(error, match=text):
            raw_call(same, x, array, inputs=inputs)
    with pytest.raises(error, match="arguments: expected 1 buffers, got 0"):
        raw_call(same, x, inputs=where)
    with pytest.raises(error, match="where: expected as many problems as of the first result"):
        raw_call(three, jnp.stack([x] * 3), jnp.ones((2, 6, 4, 3), bool), inputs=where)
    with pytest.raises(error, match="C1"):
        raw_call(same, x, epsilon=np.float64(-1))
    with pytest.raises(
        error, match=re.escape("normalized: expected an array of f32{6,5,4,3}, got f32{5,4,3}")
    ):
        raw_call([jax.ShapeDtypeStruct(x.shape[1:], x.dtype)], x)
    assert raw_call(same, x)[0].shape == x.shape
