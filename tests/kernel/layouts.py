"""Equal values in every arrangement of memory that numpy can describe."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from .real_types import Array

Style = Callable[[Array], Array]


def dense(values: Array) -> Array:
    return np.ascontiguousarray(values)


def sliced(values: Array) -> Array:
    """Every second element along each axis of an array twice as long."""
    buffer = np.zeros([2 * length for length in values.shape], values.dtype)
    view = buffer[tuple(slice(None, None, 2) for _ in values.shape)]
    view[...] = values
    return view


def padded(values: Array) -> Array:
    """A window that starts at index 1 of a buffer two longer along each axis."""
    buffer = np.zeros([length + 2 for length in values.shape], values.dtype)
    view = buffer[tuple(slice(1, -1) for _ in values.shape)]
    view[...] = values
    return view


def backwards(values: Array) -> Array:
    """Negative strides along every axis."""
    everywhere = tuple(slice(None, None, -1) for _ in values.shape)
    return np.ascontiguousarray(values[everywhere])[everywhere]


def misaligned(values: Array) -> Array:
    """At an odd address."""
    buffer = bytearray(values.nbytes + 1)
    view: Array = np.ndarray(values.shape, values.dtype, buffer=buffer, offset=1)
    view[...] = values
    return view


STYLES: tuple[Style, ...] = (dense, sliced, padded, backwards, misaligned)


def in_memory_order(values: Array, order: tuple[int, ...], style: Style) -> Array:
    """Equal values, with the axes stored in the given order (outermost first), in a given style."""
    return style(values.transpose(order)).transpose(np.argsort(order))


def arrangements(values: Array) -> Iterator[tuple[str, Array]]:
    """Every order of the axes in memory with every style, described."""
    for order in itertools.permutations(range(values.ndim)):
        for style in STYLES:
            name = f"memory order {order}, {style.__name__}"
            yield name, in_memory_order(values, order, style)


def channels_last(values: Array, channel_axis: int = 1) -> Array:
    """The channels innermost in memory, the other axes in their order."""
    stored = np.ascontiguousarray(np.moveaxis(values, channel_axis, -1))
    return np.moveaxis(stored, -1, channel_axis)
