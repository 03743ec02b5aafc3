"""Bits do not depend on strides where tensors are copied piece by piece, or used run by run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import normgraph as ng

from .canonical_order import is_channels_last
from .comparison import assert_same_bits
from .layouts import backwards, channels_last, dense, in_memory_order, misaligned, padded, sliced
from .real_types import Array

Arrangement = Callable[[Array], Array]

REFERENCE: Any = {"implementation": "reference"}
BEST: Any = {"implementation": ng.implementations()[0]}


def columns_first(values: Array) -> Array:
    """Columns of the image next to each other, rows next to each other in reverse order."""
    return in_memory_order(values, (0, 1, 3, 2), backwards)


def reversed_columns(values: Array) -> Array:
    return dense(values[..., ::-1])[..., ::-1]


def every_second_column(values: Array) -> Array:
    buffer = np.zeros((*values.shape[:-1], 2 * values.shape[-1] - 1), values.dtype)
    buffer[..., ::2] = values
    return buffer[..., ::2]  # the last element is that of the buffer: nothing lies beyond


def cropped_channels_last(values: Array) -> Array:
    return in_memory_order(values, (0, 2, 3, 1), padded)


def some_channels(values: Array) -> Array:
    """Channels last, others between them and those of the next pixel."""
    count, channels, *image = values.shape
    view = np.moveaxis(np.zeros((count, *image, channels + 5), values.dtype), -1, 1)[:, :channels]
    view[...] = values
    return view


def batch_last(values: Array) -> Array:
    return in_memory_order(values, (1, 2, 3, 0), dense)


class Case(NamedTuple):
    """A shape, and what it is for."""

    shape: tuple[int, int, int, int]
    types: tuple[str, ...]
    why: str


CASES = (
    Case((3, 5, 70, 90), ("f2", "f4", "f8"), "groups whose copies are kept"),
    Case((2, 3, 420, 331), ("f4",), "channels too large to be kept, in several blocks"),
    Case((2, 70, 23, 25), ("f2", "f4", "f8"), "more channels than a tile has"),
    Case((2, 3, 10, 272), ("f4", "f8"), "rows of an image that are used where they are"),
    Case((3, 17, 9, 15), ("f2", "f4", "f8"), "channels of more than a vector"),
    Case((2, 16, 180, 190), ("f4",), "outputs written by non-temporal stores"),
)
ARRANGEMENTS: dict[str, tuple[Arrangement, Arrangement]] = {
    "mixed, channels last input": (channels_last, dense),
    "mixed, channels first input": (dense, channels_last),
    "columns first": (columns_first, reversed_columns),
    "columns reversed": (reversed_columns, every_second_column),
    "every second column": (every_second_column, columns_first),
    "everything sliced": (sliced, padded),
    "cropped": (padded, misaligned),
    "cropped, channels last": (cropped_channels_last, cropped_channels_last),
    "some channels, last": (some_channels, channels_last),
    "batch last": (batch_last, cropped_channels_last),
}


def parameters() -> list[Any]:
    return [
        pytest.param(case.shape, data_type, name, id=f"{case.why}-{data_type}-{name}")
        for case in CASES
        for data_type in case.types
        for name in ARRANGEMENTS
    ]


@pytest.mark.parametrize(("shape", "data_type", "name"), parameters())
def test_bits_are_those_of_contiguous_arrays(
    shape: tuple[int, int, int, int], data_type: str, name: str
) -> None:
    """Outputs in the arrangements of the sources, too: each is written where it belongs alone."""
    random = np.random.default_rng(37)
    input, delta = (random.standard_normal(shape).astype(data_type) for _ in range(2))
    channel_type = "f8" if data_type == "f8" else "f4"
    gamma, beta, mean, variance = random.uniform(0.5, 1.5, (4, shape[1])).astype(channel_type)
    of_input, of_delta = ARRANGEMENTS[name]
    view, view_of_delta = of_input(input), of_delta(delta)
    contiguous = channels_last(input) if is_channels_last(view, 1) else dense(input)

    expected: Any = ng.batch_norm_training_backprop(
        contiguous, gamma, beta, mean, variance, delta, **REFERENCE
    )
    for arrange in (dense, of_input, of_delta):
        out = (arrange(np.zeros(shape, data_type)), None, None)
        found: Any = ng.batch_norm_training_backprop(
            view, gamma, beta, mean, variance, view_of_delta, out=out, **BEST
        )
        for field in expected._fields:
            what = f"backward, {arrange.__name__} output: {field}"
            assert_same_bits(getattr(found, field), getattr(expected, field), what)

    expected = ng.batch_norm_training_relu(contiguous, gamma, beta, **REFERENCE)
    found = ng.batch_norm_training_relu(view, gamma, beta, **BEST)
    for field in expected._fields:
        assert_same_bits(getattr(found, field), getattr(expected, field), f"forward: {field}")

    # Where the input was, which its copies must have been made of before.
    plain = ng.batch_norm_training(contiguous, gamma, beta, **REFERENCE)
    in_place = ng.batch_norm_training(view, gamma, beta, out=(view, None, None), **BEST)
    assert_same_bits(in_place.normalized, plain.normalized, "in place")


def test_what_lies_between_the_elements_of_an_output_is_left_alone() -> None:
    random = np.random.default_rng(38)
    shape = (2, 16, 180, 190)
    input = random.standard_normal(shape).astype("f4")
    buffer = np.full((2, 16, 182, 2 * 190), 7, np.float32)
    out = buffer[:, :, 1:-1, ::2]
    ng.batch_norm_training(columns_first(input), None, None, out=(out, None, None), **BEST)
    assert not np.any(out == 7)
    out[...] = 7
    assert np.all(buffer == 7)


def test_output_whose_rows_begin_anywhere_in_a_cache_line() -> None:
    """A block of so many channels is larger than a buffer, and must not be taken whole."""
    random = np.random.default_rng(39)
    shape = (2, 2048, 3, 200)
    count, channels, height, width = shape
    input = channels_last(random.standard_normal(shape).astype("f4"))
    row = width * channels
    memory = np.zeros(count * height * (row + 3) + 16, np.float32)
    first = -memory.ctypes.data % 64 // 4  # the first pixel begins one
    rows = memory[first:][: count * height * (row + 3)].reshape(count, height, row + 3)
    out = np.moveaxis(rows[..., :row].reshape(count, height, width, channels), -1, 1)
    assert np.shares_memory(out, memory)
    expected = ng.batch_norm_training(input, None, None, **REFERENCE).normalized
    ng.batch_norm_training(input, None, None, out=(out, None, None), **BEST)
    assert_same_bits(out, expected, "normalized")
    assert np.all(rows[..., row:] == 0)
