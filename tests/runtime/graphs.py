"""Functions that several tests run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import normgraph as ng

Array = npt.NDArray[Any]
BACKENDS = ("cpu", "reference")


def parameters(
    names: str, shape: Sequence[int | None] | None = None, element_type: str = "f32"
) -> list[ng.Parameter]:
    """Parameters of one type, named by the words of `names`."""
    return [ng.Parameter(element_type, shape, name=name) for name in names.split()]


def results_of(
    results: Any,
    inputs: Sequence[ng.Parameter],
    *arrays: Array,
    backend: str = "cpu",
    **options: Any,
) -> tuple[Array, ...]:
    """The results for these arrays."""
    return ng.compile(ng.Function(results, inputs), backend)(*arrays, **options)


def chain(length: int) -> ng.Function:
    """x times y, minus y, through a ReLU, plus y, and so on: `length` ops in all."""
    x, y = parameters("x y")
    value: Any = x
    for index in range(length):
        ops = [ng.op.Multiply, ng.op.Subtract, ng.op.Relu, ng.op.Add]
        op = ops[index % len(ops)]
        value = op(value) if op is ng.op.Relu else op(value, y)
    return ng.Function([value], [x, y], name="chain")


def numpy_chain(length: int, x: Array, y: Array) -> Array:
    """The result of chain() by numpy."""
    value = x
    for index in range(length):
        value = [value * y, value - y, np.maximum(value, 0), value + y][index % 4]
    return value


def normals(shape: int | tuple[int, ...], seed: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)
