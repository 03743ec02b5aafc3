"""Comparing arrays to the bit, where any NaN equals any NaN."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .real_types import Array


def bits(array: Array) -> bytes:
    """The bytes of the elements in logical order, with every NaN replaced by the same one."""
    copy = np.array(array, order="C", copy=True)
    if copy.dtype != np.uint8:  # a mask has no NaN
        copy[np.isnan(copy)] = np.nan
    return copy.tobytes()


def assert_same_bits(actual: Array, expected: Array, what: str) -> None:
    """Asserts equal type, shape and bits; `what` says how to reproduce the case."""
    assert actual.dtype == expected.dtype, f"{what}: type {actual.dtype}, not {expected.dtype}"
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    if bits(actual) == bits(expected):
        return
    size = actual.dtype.itemsize
    flat_actual, flat_expected = bits(actual), bits(expected)
    different = [
        index
        for index in np.ndindex(actual.shape)
        for offset in [int(np.ravel_multi_index(index, actual.shape)) * size]
        if flat_actual[offset : offset + size] != flat_expected[offset : offset + size]
    ]
    first = different[0]
    raise AssertionError(
        f"{what}: {len(different)} of {actual.size} elements differ; the first, at {first}, is "
        f"{float(actual[first])!r} ({float(actual[first]).hex()}), "
        f"not {float(expected[first])!r} ({float(expected[first]).hex()})"
    )


def assert_outputs_select(call: Callable[..., Any], names: Sequence[str]) -> None:
    """Asserts that any choice as outputs= gives the bits of a call without it, else None."""
    everything = call()
    for size in range(1, len(names) + 1):
        for selected in itertools.combinations(names, size):
            result = call(outputs=selected)
            for name in names:
                value = getattr(result, name)
                if name in selected:
                    assert_same_bits(value, getattr(everything, name), f"{selected}: {name}")
                else:
                    assert value is None, f"{selected}: {name}"
