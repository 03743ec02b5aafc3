"""Arrays that the tests of normgraph.jax share, and layers as functions of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import normgraph as ng
import normgraph.jax as ngj

#: Of data, and of gamma and beta. float64 needs enable_x64().
DTYPE_PAIRS = [
    ("float32", "float32"),
    ("bfloat16", "bfloat16"),
    ("bfloat16", "float32"),
    ("float16", "float16"),
    ("float16", "float32"),
    ("float64", "float64"),
]
#: Shapes and channel axes.
LAYOUTS = {
    "images": ((6, 5, 4, 3), 1),
    "channels last": ((6, 4, 3, 5), -1),
    "many channels last": ((9, 70), 1),
    "matrix": ((37, 3), -1),
    "channels in front": ((5, 40), 0),
    "in the middle": ((2, 3, 7, 11, 2), -3),
    "one pixel": ((40, 5, 1, 1), 1),
    "one channel": ((40, 1, 3), 1),
    "blocks": ((70, 3, 9, 9), 1),
}
ACTIVATIONS = {"": {}, "relu": {}, "relu6": {"upper_bound": 0.75}, "add_relu": {}}


class Layer(NamedTuple):
    """What a layer is called with, as arrays of numpy."""

    input: Any
    gamma: Any
    beta: Any
    mean: Any
    variance: Any
    residual: Any
    delta: Any


def layer(
    dtype: str = "float32",
    vector_dtype: str | None = None,
    layout: str = "images",
    seed: int = 0,
) -> Layer:
    """Random arrays of these types; mean and deviation differ between channels."""
    shape, axis = LAYOUTS[layout]
    generator = np.random.default_rng(seed)
    channels = shape[axis]
    data_type, vector_type = jnp.dtype(dtype), jnp.dtype(vector_dtype or dtype)
    column = [1] * len(shape)
    column[axis] = channels

    def data(scale: float = 1.0) -> Any:
        offset = np.linspace(-1, 1, channels).reshape(column)
        return (generator.normal(0, scale, shape) + offset).astype(data_type)

    def vector(offset: float) -> Any:
        return (generator.normal(0, 0.25, channels) + offset).astype(vector_type)

    vectors = vector(1.5), vector(0.25), vector(0.0), np.abs(vector(2.0))
    return Layer(data(2.0), *vectors, data(), data())


def enable_x64() -> AbstractContextManager[Any]:
    """Within it JAX has float64."""
    return jax.enable_x64(True)


def with_type(dtype: str) -> AbstractContextManager[Any]:
    """Within it JAX has this type."""
    from contextlib import nullcontext

    return enable_x64() if dtype == "float64" else nullcontext()


def function(kind: str, activation: str, **options: Any) -> Callable[..., Any]:
    """normgraph.jax's function for "training" or "inference", of (input, gamma, …)."""
    return _named(ngj, kind, activation, "", options)


def _named(
    module: Any, kind: str, activation: str, suffix: str, options: dict[str, Any]
) -> Callable[..., Any]:
    name = "relu" if activation == "relu6" else activation
    found = getattr(module, f"batch_norm_{kind}" + (f"_{name}" if name else "") + suffix)
    bound = ACTIVATIONS[activation] if not suffix else {}

    def call(*arrays: Any, **others: Any) -> Any:
        return found(*arrays, **bound, **options, **others)

    return call


def arguments(kind: str, activation: str, given: Layer) -> list[Any]:
    statistics = [given.mean, given.variance] if kind == "inference" else []
    residual = [given.residual] if activation == "add_relu" else []
    return [given.input, given.gamma, given.beta, *statistics, *residual]


def on_arrays(kind: str, activation: str, suffix: str = "", **options: Any) -> Callable[..., Any]:
    """The function on arrays that does the same, or its backward pass."""
    return _named(ng, kind, activation, suffix, options)


def assert_same(actual: Any, expected: Any, what: str = "") -> None:
    """Shape, type and bits."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, what
    assert actual.dtype == expected.dtype, what
    assert actual.tobytes() == expected.tobytes(), what


def axis_of(layout: str) -> int:
    return LAYOUTS[layout][1]
