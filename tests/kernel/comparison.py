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


def different_elements(actual: Array, expected: Array) -> Array:
    """(elements, axes): the indices of elements whose bits differ, in logical order.

    Without a copy of either array, of which tests compare many and large ones.
    """
    unsigned = f"u{actual.dtype.itemsize}"
    differs = np.asarray(actual.view(unsigned) != expected.view(unsigned))
    if differs.any() and actual.dtype != np.uint8:  # a mask has no NaN
        differs[differs] = ~(np.isnan(actual[differs]) & np.isnan(expected[differs]))
    return np.argwhere(differs) if differs.any() else np.empty((0, actual.ndim), np.int64)


def assert_same_bits(actual: Array, expected: Array, what: str) -> None:
    """Asserts equal type, shape and bits; `what` says how to reproduce the case."""
    assert actual.dtype == expected.dtype, f"{what}: type {actual.dtype}, not {expected.dtype}"
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    different = different_elements(actual, expected)
    if len(different) == 0:
        return
    first = tuple(map(int, different[0]))
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
