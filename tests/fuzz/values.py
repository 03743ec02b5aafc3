"""Values of Python, and arrays, with which functions are called."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import normgraph as ng

from .choices import Choices

REAL = ("f4", "f8", "f2")
DTYPES = (*REAL, "i4", "u1", "?", ">f4", ">f8", "c8", "O", "U3", "M8[s]", "i8", "V5")
ELEMENT_TYPES = ("f32", "f64", "f16", "bf16", "i32", "u8", "boolean", "dynamic")
NUMBERS = (0, 1, -1, 2, 3, 5, 63, 64, 65, 2**31, 2**62, 2**63 - 1, 2**63, -(2**63), 10**30)
#: Elements of an array, at most: what is looked for is in the arguments.
MOST_ELEMENTS = 4096


def number(choices: Choices) -> Any:
    """A small integer, a large one, or a float."""
    kind = choices.integer(0, 3)
    if kind == 0:
        return choices.integer(-4, 8)
    if kind == 1:
        return choices.one_of(NUMBERS)
    if kind == 2:
        return choices.one_of((1e-5, 0.0, -0.0, 1.0, -1.0, math.nan, math.inf, 1e308, 5e-324))
    return float(choices.integer(-(2**20), 2**20)) / 2**10


def anything(choices: Choices, depth: int = 0) -> Any:
    """A value of any type."""
    kinds = 12 if depth < 2 else 9
    kind = choices.integer(0, kinds - 1)
    simple: tuple[Any, ...] = (None, True, b"x", 1j, object(), Ellipsis, type)
    if kind == 0:
        return number(choices)
    if kind == 1:
        return choices.text()
    if kind == 2:
        return choices.one_of(simple)
    if kind == 3:
        return array(choices)
    if kind == 4:
        return np.int64(choices.integer(-3, 9))
    if kind == 5:
        return np.float64(number(choices)) if choices.chance(200) else range(3)
    if kind == 6:
        return choices.one_of((ng.element.f32, ng.PartialShape([1, None]), ng.Dimension((1, 3))))
    if kind < 9:
        return choices.one_of(ELEMENT_TYPES)
    items = [anything(choices, depth + 1) for _ in range(choices.integer(0, 4))]
    return (items, tuple(items), dict(enumerate(items)))[kind - 9]


def shape(choices: Choices, longest: int = 5) -> tuple[int, ...]:
    """The shape of an array that is not large."""
    lengths = [
        choices.one_of((3, 1, 2, 4, 0, 5, 7, 16, 17)) for _ in range(choices.integer(0, longest))
    ]
    while math.prod(lengths) > MOST_ELEMENTS:
        lengths.pop()
    return tuple(lengths)


def array(
    choices: Choices, wanted: tuple[int, ...] | None = None, dtype: str | None = None
) -> np.ndarray[Any, Any]:
    """An array, often of this shape and type, and often a view of a strange kind."""
    if wanted is None or choices.chance(16):
        wanted = shape(choices)
    if dtype is None or choices.chance(16):
        dtype = choices.one_of(DTYPES)
    steps = [choices.one_of((1, 1, 1, 2, -1, -2, 3)) for _ in wanted]
    base = np.zeros([length * abs(step) for length, step in zip(wanted, steps, strict=True)], dtype)
    if base.dtype.kind in "fiu":
        flat = np.arange(base.size) % 13 - 3
        base[...] = (flat.reshape(base.shape) % 200).astype(base.dtype)
    result = np.asarray(base[tuple(slice(None, None, step) for step in steps)])
    if choices.chance(32) and result.ndim > 1:
        result = result.transpose(np.argsort([choices.integer(0, 255) for _ in wanted]))
    if choices.chance(16):
        result = np.broadcast_to(result[..., :1], result.shape) if result.ndim else result
    if choices.chance(16):
        result.flags.writeable = False
    return result
