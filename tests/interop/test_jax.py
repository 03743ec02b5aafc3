"""JAX arrays on the CPU, lent through DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

pytestmark = pytest.mark.interop

SHAPE = (4, 3, 5, 2)


def arrays(dtype: str) -> tuple[object, ...]:
    """Input, gamma, beta, mean, variance and normalized_delta of this type."""
    keys = jax.random.split(jax.random.key(7), 6)
    x, delta = (jax.random.normal(key, SHAPE, dtype) for key in keys[:2])
    gamma, beta, mean = (jax.random.normal(key, SHAPE[1:2], dtype) for key in keys[2:5])
    return x, gamma, beta, mean, jnp.abs(jax.random.normal(keys[5], SHAPE[1:2], dtype)), delta


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_results_equal_those_of_numpy_arrays(dtype: str) -> None:
    lent = arrays(dtype)
    copies = [np.array(array) for array in lent]
    results = ng.batch_norm_training_backprop(*lent)
    expected = ng.batch_norm_training_backprop(*copies)
    for result, value in zip(results, expected, strict=True):
        assert result.tobytes() == value.tobytes()


def test_gradients_agree_with_those_of_jax() -> None:
    x, gamma, beta, _, _, delta = arrays("float32")

    def normalized(x: object, gamma: object, beta: object) -> object:
        mean = x.mean((0, 2, 3), keepdims=True)
        variance = ((x - mean) ** 2).mean((0, 2, 3), keepdims=True)
        column = (slice(None), None, None)
        scaled = (x - mean) / jnp.sqrt(variance + 1e-5)
        return scaled * gamma[column] + beta[column]

    y, pull_back = jax.vjp(normalized, x, gamma, beta)
    forward = ng.batch_norm_training(x, gamma, beta)
    backward = ng.batch_norm_training_backprop(
        x, gamma, beta, forward.mean, forward.variance, delta
    )
    # JAX sums 40 elements in float32: 40 units of 2**-24 of terms below 10, and as many products.
    tolerance = 2 * 40 * 2.0**-24 * 10
    np.testing.assert_allclose(forward.normalized, y, rtol=0, atol=tolerance)
    for result, value in zip(backward, pull_back(delta), strict=True):
        np.testing.assert_allclose(result, value, rtol=0, atol=tolerance)


def test_a_jax_array_is_never_written_to() -> None:
    x, gamma, beta, _, _, _ = arrays("float32")
    out = jnp.zeros(SHAPE, "float32")
    with pytest.raises(ValueError, match=r"^out\[0\] \(normalized\): .*(read-only|DLPack)"):
        ng.batch_norm_training(x, gamma, beta, out=out)
    assert not np.any(np.array(out))


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (jax.numpy.float16, "f16"),
        (jax.numpy.bfloat16, "bf16"),
        (jax.numpy.float32, "f32"),
        (jax.numpy.int8, "i8"),
        (jax.numpy.bool_, "boolean"),
    ],
)
def test_element_types_of_jax_are_understood(dtype: Any, name: str) -> None:
    assert ng.Parameter(dtype, [1]).element_type == ng.element.Type(name)
